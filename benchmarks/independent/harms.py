"""Attackers: the classes all worlds share, each world with its own shares and ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.independent.cast import Spec

SLOW = ("hello", "trusting", "secret", "private", "intimate", "threat")
ADULT = (19.0, 70.0)
CHILD = (9.0, 17.5)

USUAL = Spec(
    "",
    True,
    0.0,
    ADULT,
    "cold",
    CHILD,
    ladder=SLOW,
    pace=0.35,
    care=0.65,
    visits=(1.6, 5.0),
    hooks=("purpose",),
)
"""What most of them have in common: they look for children as they find them, and go slowly."""


def _attacker(name: str, share: float, **other: Any) -> Spec:
    """Return a class of attackers, which is as usual but for some things."""
    return replace(USUAL, name=name, share=share, **other)


ATTACKERS: tuple[Spec, ...] = (
    _attacker("ring", 0.0012, way="ring", rate=(1.2, 4.5), asks=0.6, thin=0.4),
    _attacker(
        "burner",
        0.001,
        rate=(6, 18),
        span=(2, 8),
        asks=0.6,
        ladder=("hello", "secret", "intimate"),
        pace=0.5,
        life=(0.1, 0.7),
        visits=(3, 8),
        fresh=True,
        hooks=("purpose", "burn"),
    ),
    _attacker("sleeper", 0.0008, rate=(2, 7), start=(7, 16), life=(0.7, 1.0), fresh=False),
    _attacker(
        "mass_adder",
        0.001,
        ages=(17, 60),
        seeks=(12, 60),
        rate=(14, 50),
        span=(3, 14),
        asks=0.9,
        ladder=("chat", "flirt", "lure"),
        visits=(2, 6),
        thin=0.5,
    ),
    _attacker("minor_targeter_fast", 0.0009, rate=(5, 16), span=(3, 10), pace=0.45, thin=0.3),
    _attacker("minor_targeter_slow", 0.0012, rate=(1.0, 2.8), start=(0, 6), span=(18, 28)),
    _attacker("camouflaged", 0.0012, way="circle", start=(0, 8), span=(14, 28), asks=0.9, hooks=("purpose", "charm")),
    _attacker(
        "pair_groomer",
        0.0011,
        way="near",
        rate=(1.0, 2.5),
        start=(0, 8),
        span=(14, 28),
        asks=0.6,
        focus=2,
        care=0.85,
        hooks=("purpose", "charm"),
        settles=True,
    ),
    _attacker("age_impostor", 0.001, seeks=(10, 17), rate=(1.2, 6), thin=0.6, hooks=("purpose", "fake_minor")),
    _attacker("hidden_age", 0.0009, rate=(1.2, 6), thin=0.3, hooks=("purpose", "hide_age")),
    _attacker(
        "sextortion",
        0.0009,
        ages=(18, 45),
        seeks=(13, 19.5),
        rate=(2, 8),
        span=(3, 16),
        asks=0.55,
        ladder=("flirt", "intimate", "threat"),
        pace=0.6,
        thin=0.6,
        hooks=("purpose", "fake_young", "charm"),
    ),
    _attacker(
        "trafficker",
        0.0009,
        ages=(20, 50),
        seeks=(14, 20.5),
        rate=(1.2, 4),
        asks=0.5,
        ladder=("hello", "lure", "lure"),
        pace=0.45,
        hooks=("purpose", "charm"),
    ),
)


def attackers(**changes: dict[str, Any]) -> tuple[Spec, ...]:
    """Return the attackers, with the changes a world makes to some classes."""
    known = {spec.name for spec in ATTACKERS}
    if not known >= set(changes):
        raise ValueError(f"no such class: {sorted(set(changes) - known)}")
    return tuple(replace(spec, **changes.get(spec.name, {})) for spec in ATTACKERS)
