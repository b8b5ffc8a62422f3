"""Preservation against responsiveness: every method a point, the Pareto front of those that compete.

A method that changes nothing preserves best, so preservation alone ranks nobody. Left of the line, where the original
portrait itself stands, a method has not responded; an over-aligned one lies high above and left of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spf_bench.record import Column
from spf_bench.report.axes import Axis
from spf_bench.report.front import pareto, stairs
from spf_bench.report.labels import Box, Label, place
from spf_bench.table.formats import number
from spf_bench.table.model import Row, Table
from spf_bench.table.notes import told_missing

WIDTH, HEIGHT = 760, 460
FRAME = Box(64, 18, WIDTH - 16, HEIGHT - 52)
PRESERVES = ("kept",)
"""World readings that speak of preservation, besides the group of that name."""
FLAG = " (over-aligned)"
RESPONDS = ("hit_rate",)
"""World readings that speak of response, besides the group of that name."""


@dataclass(frozen=True)
class Mark:
    """One method in the drawing."""

    row: int
    """Its row in the table."""
    name: str
    """Its name in print."""
    x: float
    y: float
    whiskers: tuple[tuple[float, float, float, float], ...]
    """Lines (x1, y1, x2, y2) of its 95 % intervals."""
    state: str
    """reference, front, behind, or unresponsive."""
    label: Label
    """Where its name stands."""
    told: str
    """Its numbers in words."""


@dataclass(frozen=True)
class Plot:
    """One pair of metrics."""

    key: str
    x: Column
    y: Column
    x_marks: list[tuple[float, str]]
    y_marks: list[tuple[float, str]]
    marks: list[Mark]
    front: str
    """The Pareto front as points of an SVG polyline; empty where fewer than two methods compete."""
    limit: float | None
    """Where the original portrait's response lies; None where it is unknown."""


def plots(table: Table) -> list[Plot]:
    """Return a plot for every pair of a metric of response and one of preservation."""
    across = [c for c in table.columns if c.group == "responsiveness" or c.key in RESPONDS]
    up = [c for c in table.columns if c.group == "preservation" or c.key in PRESERVES]
    found = (_plot(table, x, y) for x in across for y in up)
    return [plot for plot in found if plot is not None]


def _plot(table: Table, x: Column, y: Column) -> Plot | None:
    shown = [(i, row) for i, row in enumerate(table.rows) if _known(row, x) and _known(row, y)]
    if not shown:
        return None
    rows = [row for _, row in shown]
    across, up = _axis(rows, x, FRAME.left, FRAME.right), _axis(rows, y, FRAME.bottom, FRAME.top)
    places = [(across.place(_mean(row, x)), up.place(_mean(row, y))) for row in rows]
    whiskers = [tuple(_whiskers(row, x, y, across, up, at)) for row, at in zip(rows, places, strict=True)]
    front = _front(rows, x, y)
    states = [_state(row, front) for row in rows]
    names = [row.label + (FLAG if state == "unresponsive" else "") for row, state in zip(rows, states, strict=True)]
    labels = place(places, names, FRAME, [_box(line) for lines in whiskers for line in lines])
    marks = [
        Mark(i, name, at[0], at[1], lines, state, label, _told(row, x, y))
        for (i, row), name, at, lines, state, label in zip(shown, names, places, whiskers, states, labels, strict=True)
    ]
    corners = sorted((mark.x, mark.y) for mark in marks if mark.state == "front")
    originals = [mark.x for mark in marks if mark.state == "reference"]
    line = stairs(corners) if len(corners) > 1 else ""
    return Plot(f"{x.key}|{y.key}", x, y, across.marks(), up.marks(), marks, line, originals[0] if originals else None)


def _front(rows: Sequence[Row], x: Column, y: Column) -> list[str]:
    """Return the runs on the front, of those that compete."""
    competing = [row for row in rows if row.competes]
    points = [(_mean(row, x) * _sign(x), _mean(row, y) * _sign(y)) for row in competing]
    return [competing[i].record.run for i in pareto(points)]


def _state(row: Row, front: Sequence[str]) -> str:
    if row.record.method.reference:
        return "reference"
    if row.unresponsive:
        return "unresponsive"
    return "front" if row.record.run in front else "behind"


def _axis(rows: Sequence[Row], column: Column, start: float, end: float) -> Axis:
    """Return an axis on which better lies right or up, whichever way the metric counts."""
    scores = [row.cells[column.key].score for row in rows]
    values = [value for s in scores for value in (s.lo, s.mean, s.hi) if value is not None]
    axis = Axis.around(values, start, end)
    return axis if column.higher_is_better else axis.flipped()


def _whiskers(
    row: Row, x: Column, y: Column, across: Axis, up: Axis, at: tuple[float, float]
) -> Iterator[tuple[float, float, float, float]]:
    wide, high = row.cells[x.key].score, row.cells[y.key].score
    if wide.lo is not None and wide.hi is not None:
        yield across.place(wide.lo), at[1], across.place(wide.hi), at[1]
    if high.lo is not None and high.hi is not None:
        yield at[0], up.place(high.lo), at[0], up.place(high.hi)


def _box(line: tuple[float, float, float, float]) -> Box:
    x1, y1, x2, y2 = line
    return Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)


def _told(row: Row, x: Column, y: Column) -> str:
    return f"{row.label}: {_number(row, x)}, {_number(row, y)}"


def _number(row: Row, column: Column) -> str:
    missing = told_missing(row.cells[column.key].score)
    return f"{column.title} {number(_mean(row, column), column)}" + (f" (on {missing})" if missing else "")


def _known(row: Row, column: Column) -> bool:
    return column.key in row.cells and row.cells[column.key].score.mean is not None


def _mean(row: Row, column: Column) -> float:
    mean = row.cells[column.key].score.mean
    assert mean is not None  # what was not measured has no mark
    return mean


def _sign(column: Column) -> int:
    return 1 if column.higher_is_better else -1
