"""Charts as SVG drawn by the server: no script, and each with a text alternative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from ecr_audit.text import percent
from ecr_audit.web.published import Row

# Size of the drawing in its own units; on the page it takes the full width.
WIDTH, HEIGHT = 1000.0, 200.0


@dataclass(frozen=True)
class Line:
    """A daily percentage as a path of the drawing, with a gap for each day without a value."""

    label: str
    path: str
    last: float | None


@dataclass(frozen=True)
class Hover:
    """The strip of the drawing for one day, with its text."""

    x: float
    width: float
    text: str


@dataclass(frozen=True)
class Trend:
    """Percentages over time, from 0 (bottom) to 100 (top)."""

    first: date
    last: date
    lines: list[Line]
    hovers: list[Hover]


def compliance_trend(nights: Sequence[Row]) -> Trend | None:
    """Compliance and coverage of nights in order, rows with `snapshot_date` and both percentages."""
    return trend(
        [night["snapshot_date"] for night in nights],
        {
            "Compliance": [night["compliance_percent"] for night in nights],
            "Coverage": [night["coverage_percent"] for night in nights],
        },
    )


def trend(days: Sequence[date], values: dict[str, Sequence[float | None]]) -> Trend | None:
    """One line per label over the days, which are in order. None for fewer than two days."""
    if len(days) < 2:
        return None
    first, last = days[0], days[-1]
    span = (last - first).days
    xs = [WIDTH * (each - first).days / span for each in days]
    lines = [Line(label, _path(xs, line), line[-1]) for label, line in values.items()]
    texts = [
        ", ".join(
            [day.isoformat()] + [f"{label} {percent(line[index])}" for label, line in values.items()],
        )
        for index, day in enumerate(days)
    ]
    edges = [0.0, *((left + right) / 2 for left, right in pairwise(xs)), WIDTH]
    hovers = [
        Hover(round(left, 1), round(right - left, 1), text)
        for (left, right), text in zip(pairwise(edges), texts, strict=True)
    ]
    return Trend(first, last, lines, hovers)


def _path(xs: Sequence[float], values: Sequence[float | None]) -> str:
    commands, pen_is_down = [], False
    for x, value in zip(xs, values, strict=True):
        if value is not None:
            commands.append(f"{'L' if pen_is_down else 'M'}{x:.1f} {HEIGHT * (1 - value / 100):.1f}")
        pen_is_down = value is not None
    return "".join(commands)
