"""An evidence pack on paper (fpdf2, with the DejaVu font so that an account id in any script can be printed)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from console.assets import VENDOR
from console.packs import Pack

__all__ = ["pack_pdf"]

INK: Final = (27, 37, 48)
QUIET: Final = (82, 96, 113)
WARN: Final = (163, 25, 43)


class _Paper(FPDF):
    """Pages with the same head and foot."""

    def __init__(self, pack: Pack, seal: str) -> None:
        super().__init__(format="A4")
        self.pack, self.seal = pack, seal
        self.add_font("DejaVu", "", VENDOR / "DejaVuSans.ttf")
        self.add_font("DejaVu", "B", VENDOR / "DejaVuSans-Bold.ttf")
        self.set_auto_page_break(True, margin=22)
        self.set_title(f"Case {pack.made['case']}, draft")
        self.set_lang("en")
        self.set_creation_date(datetime.datetime.fromisoformat(str(pack.made["at"]).replace("Z", "+00:00")))

    def header(self) -> None:
        """Print that it is a draft on every page."""
        self.set_font("DejaVu", "B", 8)
        self.set_text_color(*WARN)
        self.multi_cell(0, 4, self.pack.status, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)

    def footer(self) -> None:
        """Print page and seal."""
        self.set_y(-16)
        self.set_font("DejaVu", "", 6.5)
        self.set_text_color(*QUIET)
        self.cell(
            0, 4, f"Case {self.pack.made['case']}, page {self.page_no()} of {{nb}}", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
        self.cell(0, 4, f"Seal of the JSON: {self.seal}")

    def title_line(self, text: str) -> None:
        """Print a section's title."""
        self.ln(2)
        self.set_font("DejaVu", "B", 11)
        self.set_text_color(*INK)
        self.multi_cell(0, 6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def text_line(self, text: str, *, quiet: bool = False) -> None:
        """Print a paragraph."""
        self.set_font("DejaVu", "", 8.5)
        self.set_text_color(*(QUIET if quiet else INK))
        self.multi_cell(0, 4.6, clean(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def pairs(self, pairs: dict[str, Any]) -> None:
        """Print names and values."""
        rows(
            self, [(name, value if isinstance(value, str) else said(value)) for name, value in pairs.items()], (55, 135)
        )


def clean(text: str) -> str:
    """Return text with what has no shape made visible: control and direction marks must not reorder a document."""
    return "".join(
        letter if letter == "\n" or (letter.isprintable() and ord(letter) < 0x10000) else f"\\u{ord(letter):04x}"
        for letter in text
    )


def said(value: Any) -> str:
    """Return a value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {said(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(said(one) for one in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows(
    paper: FPDF, lines: Sequence[tuple[str, ...]], widths: tuple[int, ...], head: tuple[str, ...] | None = None
) -> None:
    """Print a table."""
    paper.set_font("DejaVu", "", 7.5)
    paper.set_text_color(*INK)
    paper.set_draw_color(213, 220, 228)
    with paper.table(
        col_widths=widths,
        line_height=4.4,
        first_row_as_headings=head is not None,
        borders_layout="HORIZONTAL_LINES",
        text_align="LEFT",
    ) as table:
        for line in [*([head] if head else []), *lines]:
            row = table.row()
            for cell in line:
                row.cell(clean(cell))


def pack_pdf(pack: Pack, seal: str) -> bytes:
    """Return a pack as PDF; `seal` is that of its JSON."""
    paper = _Paper(pack, seal)
    paper.add_page()
    paper.set_font("DejaVu", "B", 16)
    paper.set_text_color(*INK)
    paper.cell(0, 9, f"Evidence pack, case {pack.made['case']}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.text_line(f"Made {pack.made['at']} by {pack.made['by']} from kithwatch. Times are UTC.", quiet=True)
    paper.title_line("Incident")
    paper.pairs(pack.incidentSummary)
    paper.title_line("Reported person or user")
    paper.pairs(pack.personOrUserReported)
    paper.title_line("Reporter")
    paper.pairs(pack.reporter)
    paper.title_line(f"Victims: {len(pack.victims)} minors among its contacts")
    if pack.victims:
        lines = [
            (
                one["espIdentifier"],
                one["ageBand"],
                f"{one['firstContact']}\n{one['lastContact']}",
                one["outcome"],
                said(one["signs"]),
                said(one["protectiveSteps"]),
            )
            for one in pack.victims
        ]
        head = ("Account", "Age", "First and last contact", "Outcome", "Signs", "Protective steps")
        rows(paper, lines, (42, 22, 44, 22, 28, 32), head)
    paper.title_line("Why it was flagged")
    for flag in pack.additionalInfo:
        paper.text_line(f"{flag['detector']}, {flag['severity']}: {flag['explanation']}")
        paper.text_line(flag["counterfactual"], quiet=True)
        paper.pairs(
            {name: flag[name] for name in ("window", "features", "thresholds", "baseline", "eventIds", "flagId")}
        )
    paper.title_line("Timeline")
    rows(paper, [(entry["at"], entry["what"]) for entry in pack.timeline], (48, 142))
    return bytes(paper.output())
