"""The effect-direction plot: one mark per group of people, up, down or neither, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from catharsis.assess.without_pooling import Vote
from catharsis.report.figures.svg import CHAR, SMALL, Sheet, clipped

ROW = 24.0
STEP = 15.0
ORDER: tuple[Vote, ...] = ("negative", "none", "mixed", "positive")


@dataclass(frozen=True, slots=True)
class Votes:
    """One row of votes.

    Attributes
    ----------
    label : str
        The setting.
    marks : tuple of (str, str)
        Vote ("positive", "negative", "none", "mixed") and tooltip, in any order.
    note : str
        Right-hand text.
    """

    label: str
    marks: tuple[tuple[Vote, str], ...]
    note: str = ""


def draw_directions(title: str, rows: tuple[Votes, ...], words: tuple[str, str, str], width: float = 760.0) -> Sheet:
    """Draw votes as triangles up (positive) and down (negative), rings (neither) and squares (both ways).

    Parameters
    ----------
    title : str
        For the description.
    rows : tuple of Votes
        Settings in order.
    words : (str, str, str)
        Positive, none, negative, for the legend.
    width : float
        Of the view box, px.

    Returns
    -------
    Sheet
    """
    note = max((len(row.note) for row in rows), default=0) * CHAR
    longest = max((len(row.marks) for row in rows), default=1)
    left = min(max((len(row.label) for row in rows), default=8) * SMALL + 12, width - note - longest * STEP - 20)
    bottom = 8 + ROW * len(rows)
    names: dict[Vote, str] = {"positive": words[0], "none": words[1], "negative": words[2], "mixed": "both ways"}
    described = "; ".join(f"{row.label}: {_told(row, names)}" for row in rows)
    sheet = Sheet(width, bottom + 30, f"{title}. {described}")
    for i, row in enumerate(rows):
        y = 8 + ROW * i + ROW / 2
        sheet.text(0, y + 4, clipped(row.label, left - 6, SMALL), "row", tip=row.label)
        for j, (vote, tip) in enumerate(sorted(row.marks, key=lambda mark: ORDER.index(mark[0]))):
            _mark(sheet, left + STEP * j + 6, y, vote, tip)
        sheet.text(width, y + 4, row.note, "sub num", "end")
    x = 6.0
    shown = {vote for row in rows for vote, _ in row.marks}
    for vote in (vote for vote in reversed(ORDER) if vote in shown):
        _mark(sheet, x, bottom + 17, vote, names[vote])
        sheet.text(x + 10, bottom + 21, names[vote], "axis")
        x += 22 + len(names[vote]) * SMALL
    return sheet


def _told(row: Votes, names: dict[Vote, str]) -> str:
    cast = [vote for vote, _ in row.marks]
    return ", ".join(f"{cast.count(vote)} {names[vote]}" for vote in reversed(ORDER) if vote in cast)


def _mark(sheet: Sheet, x: float, y: float, vote: Vote, tip: str) -> None:
    if vote == "none":
        sheet.circle(x, y, 4.6, "neither", tip)
    elif vote == "mixed":
        sheet.rect(x - 4.5, y - 4.5, 9, 9, "neither", tip)
    else:
        tall = -6 if vote == "positive" else 6
        sheet.path([(x - 6, y - tall * 0.8), (x + 6, y - tall * 0.8), (x, y + tall)], "up" if tall < 0 else "down", tip)
