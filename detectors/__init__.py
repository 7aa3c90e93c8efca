"""Detectors over the feature table, policy, episodes and evaluation."""
