"""Labelled streams of a social platform, with attacks and hard negatives."""
