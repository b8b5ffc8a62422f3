"""A table as the page shows it: numbers as printed, what they sort by, and a glyph of each interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from spf_bench.record import Column, Score
from spf_bench.report.axes import Axis
from spf_bench.table.formats import Interval, heading, number, spread
from spf_bench.table.model import Row, Table, part_label
from spf_bench.table.notes import told_missing

GLYPH = 56.0
"""Width of an interval's glyph in the drawing's units."""


@dataclass(frozen=True)
class Glyph:
    """An interval on the scale of its column, in [0, GLYPH]."""

    low: float
    at: float
    high: float


@dataclass(frozen=True)
class Shown:
    """One cell."""

    text: str
    value: float | None
    """What it sorts by; None sorts last."""
    spread: str
    """Half its 95 % interval after a ±, or nothing."""
    told: str
    """The whole of it in words."""
    best: bool
    second: bool
    partial: bool
    glyph: Glyph | None


@dataclass(frozen=True)
class Line:
    """One method."""

    number: int
    """Its place in the table, which is also its colour's."""
    label: str
    source: str
    reference: bool
    unresponsive: bool
    cells: list[Shown]


@dataclass(frozen=True)
class Board:
    """One table with its notes."""

    key: str
    """Unique on the page."""
    title: str
    """The category, or ``all targets``."""
    heading: str
    groups: list[tuple[str, int]]
    """Names of the columns' groups, and how many columns each spans."""
    columns: list[tuple[Column, str]]
    """With their names in print."""
    lines: list[Line]
    notes: tuple[str, ...]
    first: frozenset[int]
    """Indices of columns that begin a group."""


def board(table: Table, key: str) -> Board:
    """Return what the page needs of a table."""
    scales = [_scale(table, column) for column in table.columns]
    groups = [(name, len(list(found))) for name, found in groupby(table.columns, key=lambda c: c.group)]
    starts = (sum(size for _, size in groups[:i]) for i in range(len(groups)))
    lines = [_line(i, row, table.columns, scales) for i, row in enumerate(table.rows)]
    title = part_label(table.category) or "all targets"
    columns = [(column, heading(column.title, column.higher_is_better)) for column in table.columns]
    return Board(key, title, table.heading, groups, columns, lines, table.notes, frozenset(starts))


def _line(place: int, row: Row, columns: Sequence[Column], scales: Sequence[Axis]) -> Line:
    cells = [_cell(row, column, scale) for column, scale in zip(columns, scales, strict=True)]
    method = row.record.method
    return Line(place, row.label, method.source, method.reference, row.unresponsive, cells)


def _cell(row: Row, column: Column, scale: Axis) -> Shown:
    cell = row.cells.get(column.key)
    if cell is None or cell.score.mean is None:
        return Shown("–", None, "", "not measured", False, False, cell is not None and cell.partial, None)
    score, text = cell.score, number(cell.score.mean, column)
    between = spread(score, column, Interval.range)
    told = f"{row.label}, {column.title} {text}" + (f", 95 % interval {between}" if between else "")
    told += f", n = {told_missing(score) or score.n}"
    half = spread(score, column, Interval.half)
    return Shown(text, score.mean, half, told, cell.best, cell.second, cell.partial, _glyph(score, scale))


def _scale(table: Table, column: Column) -> Axis:
    scores = [row.cells[column.key].score for row in table.rows if column.key in row.cells]
    values = [value for s in scores for value in (s.lo, s.mean, s.hi) if value is not None]
    return Axis.around(values, 0.0, GLYPH, room=0.02)


def _glyph(score: Score, scale: Axis) -> Glyph | None:
    if score.mean is None or score.lo is None or score.hi is None:
        return None
    return Glyph(scale.place(score.lo), scale.place(score.mean), scale.place(score.hi))
