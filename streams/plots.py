"""The page of `kithwatch evaluate --report`: plots and tables in one HTML file that needs nothing else.

No account id is on it. Drawn with matplotlib's object interface: no global state, no window.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["STYLE", "drawn", "page_of"]

_HARM, _INNOCENT, _LINE = "#b3261e", "#30638e", "#555555"
STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}
table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.25rem .75rem;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%}figure{margin:1.5rem 0}figcaption{color:#555}
"""


def drawn(draw: Callable[[Axes], None], height: float = 3.6) -> str:
    """Return a plot as an `img` source."""
    figure = Figure(figsize=(8.0, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


def _harm(axes: Axes, curve: dict[str, Any]) -> None:
    points = [(100 * float(share), entry) for share, entry in curve.items() if entry and entry["value"] is not None]
    points.sort(key=lambda point: point[0])
    shares = [share for share, _ in points]
    axes.plot(shares, [entry["value"] for _, entry in points], color=_HARM, marker="o", markersize=3)
    low, high = (
        [entry[end] if entry[end] is not None else entry["value"] for _, entry in points] for end in ("low", "high")
    )
    axes.fill_between(shares, low, high, color=_HARM, alpha=0.18, linewidth=0)
    axes.set(xlabel="innocent accounts flagged, %", ylabel="contacts with children before the first flag", ylim=(0, 1))
    axes.grid(alpha=0.25)


def _precision_recall(axes: Axes, score: NDArray[np.float64], harmful: NDArray[np.bool_]) -> None:
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    hits = np.cumsum(harmful[order])
    if len(hits) and harmful.any():
        ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
        axes.step(hits[ends] / harmful.sum(), hits[ends] / (ends + 1), where="post", color=_HARM)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.25)


def _bars(axes: Axes, classes: dict[str, Any], key: str, colour: str, line: float | None) -> None:
    ranked = sorted(classes.items(), key=lambda pair: pair[1][key])
    places = np.arange(len(ranked))
    values = np.array([entry[key] for _, entry in ranked])
    ends = np.array([entry[f"{key}_interval"] for _, entry in ranked]).reshape(-1, 2)
    around = np.abs(np.stack([values - ends[:, 0], ends[:, 1] - values]))
    axes.barh(places, values, color=colour, height=0.7, xerr=around, error_kw={"ecolor": _LINE, "lw": 1})
    axes.set_yticks(places, [f"{name} ({entry['accounts']:,})" for name, entry in ranked], fontsize=8)
    if line is not None:
        axes.axvline(line, color=_LINE, lw=1, ls="--")
    axes.set_xlim(0, max(1.0 if key == "at_share" else 0.05, float(ends.max(initial=0.0))) * 1.02)


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the headline figures as text."""

    def text(measure: dict[str, Any] | None) -> str:
        if measure is None or measure["value"] is None:
            return "–"
        ends = "" if measure["low"] is None else f" ({measure['low']:.3f}–{measure['high']:.3f})"
        return f"{measure['value']:.3f}{ends}"

    rows = [
        ("accounts", f"{found['accounts']:,}"),
        ("of them harmful", f"{found['harmful']:,}"),
        ("flagged", f"{found['flagged_accounts']:,}"),
        ("average precision", text(found["average_precision"])),
        (f"precision, reviewing {found['budget']['reviewed']:,}", text(found["budget"]["precision"])),
        (f"recall, {found['at_share']['share']:.0%} of innocent accounts flagged", text(found["at_share"]["recall"])),
    ]
    if "harm" in found:
        rate = found["false_flags_per_10k_weeks"]
        rows.append(("false flags per 10,000 innocent account-weeks", "–" if rate is None else f"{rate:.1f}"))
        delay = found["delay_hours"]
        rows.append(("delay, hours, median", "–" if delay is None else f"{delay['median']:.1f}"))
        rows += [(f"harm, {float(share):.1%} of innocent flagged", text(harm)) for share, harm in found["harm"].items()]
    return rows


def page_of(found: dict[str, Any], score: NDArray[np.float64], harmful: NDArray[np.bool_]) -> bytes:
    """Return the page of an evaluation.

    Parameters
    ----------
    found : as `streams.measures.report` returns it.
    score, harmful : of each account.
    """
    plots: list[tuple[str, str]] = []
    if found.get("harm_curve") and any(found["harm_curve"].values()):
        plots.append(
            (
                drawn(lambda axes: _harm(axes, found["harm_curve"])),
                "Harm: the mean share of an attacker's contacts with distinct children before its first flag, over the "
                "share of innocent accounts flagged. Lower is earlier.",
            )
        )
    plots.append(
        (
            drawn(lambda axes: _precision_recall(axes, score, harmful)),
            "Precision over recall, by the highest score of each account.",
        )
    )
    attacks = {name: entry for name, entry in found["classes"].items() if entry["harmful"]}
    others = {name: entry for name, entry in found["classes"].items() if not entry["harmful"]}
    if attacks:
        plots.append(
            (
                drawn(lambda axes: _bars(axes, attacks, "at_share", _HARM, None), 1.0 + 0.24 * len(attacks)),
                "Share of each class of attack found when 1 % of innocent accounts are flagged.",
            )
        )
    if others:
        plots.append(
            (
                drawn(lambda axes: _bars(axes, others, "medium_or_above", _INNOCENT, 0.03), 1.0 + 0.24 * len(others)),
                "Share of each class of innocent accounts with a flag of medium or above; the line is at 3 %.",
            )
        )
    escape = html.escape
    table = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in _rows(found))
    figures = "".join(
        f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for source, caption in plots
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Flags against labels</title>'
        f"<style>{STYLE}</style><h1>Flags against labels</h1><table>{table}</table>{figures}"
        "<p>In brackets: 95 % intervals, bootstrap over accounts. On the bars: 95 % intervals by Wilson.</p></html>\n"
    )
    return page.encode()
