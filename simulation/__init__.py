"""Labelled streams of a social platform, with attacks and hard negatives."""

from simulation.live import live
from simulation.scenarios import build

__all__ = ["build", "live"]
