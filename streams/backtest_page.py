"""The page of `kithwatch backtest --html`: tables and plots in one file that needs nothing else; no account on it."""

from __future__ import annotations

import html
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from streams.backtest import overlap_text, rows_of
from streams.plots import STYLE, drawn

__all__ = ["page_of"]

COLOURS: Final = ("#30638e", "#b3261e", "#2e7d32", "#8e5ea2", "#b26a00", "#555555")


def _days(axes: Axes, policies: list[dict[str, Any]]) -> None:
    days = sorted({day for policy in policies for day in policy["cases_by_day"]})
    width = 0.8 / len(policies)
    for i, policy in enumerate(policies):
        counts = [policy["cases_by_day"].get(day, 0) for day in days]
        axes.bar(np.arange(len(days)) + i * width, counts, width, color=COLOURS[i], label=policy["name"])
    step = max(1, len(days) // 12)
    axes.set_xticks(np.arange(0, len(days), step), days[::step], fontsize=7, rotation=30)
    axes.set(ylabel="new flags, medium and above")
    axes.legend(frameon=False)


def _detectors(axes: Axes, policies: list[dict[str, Any]]) -> None:
    names = sorted({name for policy in policies for name in policy["flags_by_detector"]}, reverse=True)
    height = 0.8 / len(policies)
    for i, policy in enumerate(policies):
        counts = [policy["flags_by_detector"].get(name, 0) for name in names]
        axes.barh(np.arange(len(names)) - i * height, counts, height, color=COLOURS[i], label=policy["name"])
    axes.set_yticks(np.arange(len(names)) - 0.4 + height / 2, names, fontsize=8)
    axes.set(xlabel="flags")
    axes.legend(frameon=False)


def _curves(axes: Axes, policies: list[dict[str, Any]]) -> None:
    for i, policy in enumerate(policies):
        points = np.array(policy["labels"]["curve"], np.float64).reshape(-1, 2)
        axes.step(points[:, 0], points[:, 1], where="post", color=COLOURS[i], label=policy["name"])
        case = policy["labels"]["case"]
        if case["precision"]["value"] is not None and case["recall"]["value"] is not None:
            axes.plot(case["recall"]["value"], case["precision"]["value"], "o", color=COLOURS[i])
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _overlaps(axes: Axes, overlaps: list[dict[str, Any]]) -> None:
    names = [f"{one['first']} / {one['second']}" for one in overlaps]
    left = np.zeros(len(overlaps))
    parts = (
        ("only_first", "the first alone", "#9db8cd"),
        ("both", "both", "#30638e"),
        ("only_second", "the second alone", "#d59a96"),
    )
    for key, label, colour in parts:
        counts = np.array([one["case"][key] for one in overlaps], np.float64)
        axes.barh(np.arange(len(names)), counts, left=left, color=colour, height=0.6, label=label)
        left += counts
    axes.set_yticks(np.arange(len(names)), names, fontsize=8)
    axes.set(xlabel="accounts that are cases (medium and above)")
    axes.legend(frameon=False, fontsize=8)


def page_of(found: dict[str, Any]) -> bytes:
    """Return the page of a comparison, as `streams.comparing.compare` returns it."""
    policies = found["policies"]
    detectors = {name for policy in policies for name in policy["flags_by_detector"]}
    plots = [
        (drawn(lambda axes: _days(axes, policies)), "New flags of medium and above by day of event time."),
        (
            drawn(lambda axes: _overlaps(axes, found["overlap"]), 1.2 + 0.5 * len(found["overlap"])),
            "Accounts that two policies make a case of: the first alone, both, the second alone.",
        ),
        (
            drawn(lambda axes: _detectors(axes, policies), 1.2 + 0.3 * len(detectors) * len(policies) / 2),
            "Flags by detector, of every severity.",
        ),
    ]
    if "labels" in policies[0]:
        caption = "Precision over recall, by the highest score of each account; the dot is medium and above."
        plots.insert(0, (drawn(lambda axes: _curves(axes, policies)), caption))
    escape = html.escape
    head = "".join(f"<th>{escape(policy['name'])}</th>" for policy in policies)
    body = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        for name, values in rows_of(found)
    )
    figures = "".join(
        f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for source, caption in plots
    )
    said = "".join(f"<p>{escape(overlap_text(overlap))}</p>" for overlap in found["overlap"])
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Policies side by side</title>'
        f"<style>{STYLE}</style><h1>Policies side by side</h1><p>{found['events']:,} events.</p>"
        f"<table><tr><th>measure</th>{head}</tr>{body}</table>{said}{figures}"
        "<p>In brackets: 95 % intervals; of average precision and of recall at 1 % by bootstrap over accounts, of "
        "other shares by Wilson. Flags in shadow are counted apart.</p></html>\n"
    )
    return page.encode()
