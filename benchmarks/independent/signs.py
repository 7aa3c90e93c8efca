"""What messages hold, and what an imperfect classifier makes of it."""

from __future__ import annotations

import random
from bisect import bisect
from itertools import accumulate

SIGNS = (
    "secrecy",
    "probing",
    "sexual",
    "personal_info",
    "blackmail",
    "meet_up",
    "off_platform",
    "image_request",
    "age_claim",
)
MISSED = dict(zip(SIGNS, (0.5, 0.5, 0.34, 0.42, 0.38, 0.4, 0.36, 0.38, 0.34), strict=True))
HEARD = dict(zip(SIGNS, (0.4, 0.15, 1.0, 0.35, 1.7, 0.35, 0.2, 0.55, 0.0), strict=True))
_CONFUSED = (8, 20, 9, 18, 2, 17, 12, 8, 6)

# Chance in thousands that a message truly holds each sign, by tone of the talk, in the order of SIGNS.
_TONES: dict[str, tuple[float, ...]] = {
    "chat": (3, 4, 3, 6, 0.4, 20, 6, 6, 3),
    "banter": (10, 6, 9, 8, 1.5, 22, 14, 12, 8),
    "game": (2, 4, 3, 4, 0.6, 8, 18, 2, 12),
    "love": (18, 8, 60, 10, 1, 45, 14, 40, 2),
    "flirt": (6, 20, 32, 22, 0.6, 30, 40, 30, 22),
    "trade": (2, 5, 1, 50, 0.4, 55, 40, 25, 2),
    "care": (22, 45, 4, 40, 0.4, 40, 14, 2, 10),
    "train": (4, 12, 1, 35, 0.3, 85, 35, 6, 5),
    "recruit": (3, 40, 1, 75, 0.2, 55, 55, 14, 12),
    "fan": (2, 14, 6, 14, 0.3, 14, 14, 20, 16),
    "hello": (4, 35, 4, 18, 0.4, 10, 12, 10, 30),
    "trusting": (30, 65, 6, 45, 0.4, 12, 22, 22, 18),
    "secret": (85, 50, 14, 45, 1, 25, 60, 35, 6),
    "private": (65, 25, 35, 35, 2, 40, 85, 75, 3),
    "intimate": (50, 20, 105, 22, 6, 55, 40, 90, 2),
    "threat": (60, 8, 45, 30, 120, 25, 20, 85, 0),
    "lure": (30, 45, 16, 65, 3, 85, 75, 22, 14),
}
_TABLES = {tone: list(accumulate(value / 1000 for value in row)) for tone, row in _TONES.items()}
_FALSE = list(accumulate(_CONFUSED))


def content(rng: random.Random, tone: str) -> str | None:
    """Draw the sign a message truly holds, if any."""
    table = _TABLES[tone]
    pick = rng.random()
    return SIGNS[bisect(table, pick)] if pick < table[-1] else None


def observed(rng: random.Random, true: str | None, noise: float) -> list[str] | None:
    """Return what the classifier reports of a message: some signs missed, some heard that were not there."""
    found: list[str] = []
    if true is not None and rng.random() > MISSED[true]:
        found.append(true)
    if rng.random() < 0.007 * noise:
        wrong = SIGNS[bisect(_FALSE, rng.random() * (_FALSE[-1] - 1e-9))]
        if wrong not in found:
            found.append(wrong)
    return found or None
