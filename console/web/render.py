"""Templates, with everything escaped, and how times and numbers are written."""

from __future__ import annotations

import datetime
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from console import rights, words
from console.priority import points_now

__all__ = ["STATIC", "render", "static_url"]

HERE: Final = Path(__file__).parent.parent
STATIC: Final = HERE / "static"
THEMES: Final = ("auto", "light", "dark")
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000


@cache
def static_url(name: str) -> str:
    """Return a static file's address, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _utc(ms: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


def when(ms: float | None, *, seconds: bool = False) -> Markup:
    """Return a time for people, in UTC, with the exact one for machines."""
    if ms is None:
        return Markup("–")
    moment = _utc(ms)
    text = f"{moment.day} {moment:%b %Y, %H:%M:%S}" if seconds else f"{moment.day} {moment:%b %Y, %H:%M}"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="milliseconds"), text)


def span(ms: float) -> str:
    """Return a length of time in one unit.

    Examples
    --------
    >>> span(59_000), span(90 * 60_000), span(50 * 3_600_000)
    ('1 min', '90 min', '50 h')
    """
    ms = abs(ms)
    if ms < 2 * _HOUR:
        return f"{max(round(ms / _MINUTE), 1)} min"
    if ms < 3 * _DAY:
        return f"{round(ms / _HOUR)} h"
    return f"{round(ms / _DAY)} d"


def amount(value: float) -> str:
    """Return a number with the digits that matter."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"


WEIGHED: Final = " Evidence, in nats:"
"""Where detectors begin to say how the evidence was weighed (docs/detectors.md)."""
NAMED: Final = {
    "nats": "evidence of all detectors (nats)",
    "p_value": "chance of as much by accident",
    "cusum": "run of evidence (CUSUM)",
    "alpha": "learned of the cohort: minors (alpha)",
    "beta": "learned of the cohort: others (beta)",
    "expected": "expected",
}
STARTS: Final = {
    "below_": "fewest {} that would do",
    "limit_": "plain limit: {}",
    "nats_": "evidence of {} (nats)",
}


def feature(name: str) -> str:
    """Return a feature's name in words.

    Examples
    --------
    >>> feature("minors_7d"), feature("p_value"), feature("below_refusals"), feature("nats_mass_add")
    ('minors, 7 days', 'chance of as much by accident', 'fewest refusals that would do', 'evidence of mass add (nats)')
    """
    if name in NAMED:
        return NAMED[name]
    for start, said in STARTS.items():
        if name.startswith(start):
            return said.format(feature(name.removeprefix(start)))
    spans = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days"}
    stem, _, last = name.rpartition("_")
    return f"{stem.replace('_', ' ')}, {spans[last]}" if last in spans else name.replace("_", " ")


def sentence(explanation: str) -> str:
    """Return what was seen, without how it was weighed.

    Examples
    --------
    >>> sentence("Contacted 9 strangers; 1 is usual. Evidence, in nats: strangers (+6.0).")
    'Contacted 9 strangers; 1 is usual.'
    """
    return explanation.partition(WEIGHED)[0]


def weighing(explanation: str) -> str:
    """Return how what was seen was weighed, as a sentence of its own; empty if the explanation does not say.

    Examples
    --------
    >>> weighing("Contacted 9 strangers. Evidence, in nats: strangers (+6.0).")
    'Evidence, in nats: strangers (+6.0).'
    """
    _, between, rest = explanation.partition(WEIGHED)
    return f"{between.strip()} {rest.strip()}" if rest else ""


def meter(value: float, label: str) -> Markup:
    """Return a bar for a share between 0 and 1 that needs no inline style."""
    width = round(100 * min(max(value, 0.0), 1.0))
    return Markup(
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="meter-back" width="100" height="6"/><rect class="meter-fill" width="{}" height="6"/></svg>'
    ).format(label, width)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": when, "span": span, "amount": amount, "feature": feature, "escape": escape}
    environment.filters |= {"sentence": sentence, "weighing": weighing}
    environment.globals |= {
        "static": static_url,
        "meter": meter,
        "words": words,
        "rights": rights,
        "points_now": points_now,
    }
    return environment


_ENVIRONMENT: Final = _environment()


def theme_of(request: Request) -> str:
    """Return the theme a person chose; `auto` follows their system."""
    chosen = request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    usual: dict[str, Any] = {"me": None, "approvals": 0, "pause": None, "notice": None, "banner": "", "path": ""}
    usual |= {"theme": theme_of(request), "now": 0}
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(usual | values), status)
