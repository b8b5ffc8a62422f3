"""Is a difference between two rows more than chance? Paired permutation tests, Holm's correction over the methods.

A test flips the sign of each triple's difference at random (of a sequence: of all steps of a triple at once). Holm's
correction (1979) is over the methods compared in one column. Of several seeds the mean of each triple is tested: a
test speaks of the models that were trained, not of training anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING

from spf_bench.errors import UserError, unknown
from spf_bench.record import Column, RunRecord
from spf_bench.table.model import ALL, Entry, Row, Table
from spf_bench.table.notes import uncommitted
from spf_bench.table.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

    from spf_bench.stats import Difference

LEVEL = 0.05
NOTE = (
    "difference from the row named, and below it p by paired permutation over triples, Holm's correction over the "
    f"methods of the column; * p < {LEVEL}"
)


@dataclass(frozen=True)
class Test:
    """One method against another in one column."""

    __test__ = False  # pytest would take the class for a test

    row: Row
    """Whose difference it is."""
    against: Row
    """From whom."""
    column: Column
    """In which score."""
    difference: "Difference"
    """Over the triples measured in both; its p is corrected."""


def tests(table: Table, entries: Sequence[Entry], against: str | None = None) -> list[Test]:
    """Return every test of a table, column by column.

    Args:
        table: Whose rows are compared: those that compete, and nobody else.
        entries: Its runs, with their scores per triple.
        against: Compare with this method; None compares with the best of each column.

    Raises:
        UserError: No row that competes is called so.
    """
    rows = [row for row in table.rows if row.competes]
    fixed = None if against is None else named(against, rows, table)
    frames = {entry.record.run: frame for entry in entries if (frame := entry.scores()) is not None}
    asked: list[tuple[Row, Row, Column]] = []
    for column in table.columns:
        other = fixed or next((row for row in rows if column.key in row.cells and row.cells[column.key].best), None)
        if other is not None:
            asked += [(row, other, column) for row in rows if row is not other]
    return _tested(asked, frames, table.category)


def named(name: str, rows: Sequence[Row], table: Table) -> Row:
    """Return the row of the method called ``name``, of several the one with the fewest changed settings.

    Raises:
        UserError: There is none, or it does not compete.
    """
    fitting = [row for row in rows if name in (row.record.method.name, row.label)]
    if fitting:
        return min(fitting, key=lambda row: (len(row.record.method.changes), row.record.seed or 0))
    if any(name == row.record.method.name for row in table.rows):
        why = "it is the original portrait, has not responded, or nobody can tell whether it has"
        raise UserError(f"{name} does not compete here", why, "compare with another method")
    raise unknown("method in this table", name, {row.record.method.name for row in rows}, "spf-bench table")


def sheet(table: Table, found: Sequence[Test]) -> Sheet:
    """Return the tests of one table in its own rows and columns."""
    columns = [column for column in table.columns if any(test.column.key == column.key for test in found)]
    cells = {(test.row.record.run, test.column.key): test for test in found}
    others = {test.column.key: test.against for test in found}
    competing = {test.row.record.run for test in found} | {test.against.record.run for test in found}
    rows = [row for row in table.rows if row.record.run in competing]
    printed = tuple((row.label, *(_cell(cells, others, row.record, column) for column in columns)) for row in rows)
    untested = [column.title for column in table.columns if column not in columns]
    notes = (NOTE, *([f"no score per triple, so no test: {', '.join(untested)}"] if untested else []))
    notes += (*_partial(table, found), *uncommitted([row.named for row in rows]))
    one = {row.record.run: row.label for row in others.values()}
    title = f"{next(iter(one.values())) if len(one) == 1 else 'the best of each column'}; {table.heading}"
    breaks = tuple(i for i in range(1, len(columns)) if columns[i].group != columns[i - 1].group)
    head = ("minus", *(column.title for column in columns))
    data = tuple(_data(test, table.n) for test in found)
    return Sheet("significance", f"Differences from {title}", head, printed, data, notes, breaks)


def _partial(table: Table, found: Sequence[Test]) -> list[str]:
    """Return which tests rest on some of the table's triples alone."""
    short = [f"{t.column.title} of {t.row.label} on {t.difference.n}" for t in found if t.difference.n < table.n]
    return [f"tested on the triples measured in both rows, of {table.n}: {', '.join(short)}"] if short else []


def _tested(asked: Sequence[tuple[Row, Row, Column]], frames: "dict[str, pd.DataFrame]", category: str) -> list[Test]:
    """Return the tests of all pairs that were measured triple by triple, each column's corrected together."""
    import pandas as pd

    from spf_bench.table.differences import compare_all

    gaps = {str(i): gap for i, one in enumerate(asked) if (gap := _gap(*one, frames, category)) is not None}
    origins = [frame["origin"] for frame in frames.values() if "origin" in frame]
    found = compare_all(pd.DataFrame(gaps), clusters=origins[0] if origins else None)
    tests = [Test(*asked[int(i)], found[i]) for i in gaps if not isnan(found[i].p)]
    columns = dict.fromkeys(test.column.key for test in tests)
    return [one for key in columns for one in _corrected([test for test in tests if test.column.key == key])]


def _gap(
    row: Row, other: Row, column: Column, frames: "dict[str, pd.DataFrame]", category: str
) -> "pd.Series[float] | None":
    mine, theirs = (frames.get(side.record.run) for side in (row, other))
    if mine is None or theirs is None or column.key not in mine or column.key not in theirs:
        return None
    mine = mine if category == ALL else mine[mine["category"] == category]
    gap: pd.Series[float] = mine[column.key] - theirs[column.key].reindex(mine.index)
    return gap


def _corrected(found: list[Test]) -> list[Test]:
    from spf_bench.stats import holm

    corrected = holm([test.difference.p for test in found])
    return [replace(t, difference=replace(t.difference, p=p)) for t, p in zip(found, corrected, strict=True)]


def _cell(cells: dict[tuple[str, str], Test], others: dict[str, Row], record: RunRecord, column: Column) -> str:
    if others[column.key].record.run == record.run:
        return "0 "
    test = cells.get((record.run, column.key))
    if test is None:
        return "– "
    mark = "*" if test.difference.p < LEVEL else " "
    return f"{test.difference.value:+.{column.decimals}f}{mark}\n{_p(test.difference.p)} ".replace("-", "−")


def _p(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def _data(test: Test, of: int) -> dict[str, object]:
    d = test.difference
    low, high = (None if isnan(end) else end for end in (d.low, d.high))
    return {
        "method": test.row.record.method.name, "label": test.row.label, "against": test.against.label,
        "metric": test.column.key, "difference": d.value, "lo": low, "hi": high, "n": d.n, "of": of, "p_holm": d.p,
    }  # fmt: skip
