"""Everything that ``spf-bench table`` can show of finished runs, as one text."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spf_bench.errors import UserError
from spf_bench.table import costs as cost_table
from spf_bench.table import published, seeds, shapes, significance
from spf_bench.table.data import plain
from spf_bench.table.formats import Interval, render
from spf_bench.table.layout import Format
from spf_bench.table.model import ALL, PARTS, Entry, Table, groups, table_of
from spf_bench.table.sheet import Sheet, render_sheet
from spf_bench.table.sheet import plain as plain_sheet

SUFFIXES = {".md": Format.md, ".csv": Format.csv, ".tex": Format.tex, ".json": Format.json, ".txt": Format.text}
"""How a file is written, by its name's ending."""
COSTS = "2"
"""The paper's table of costs, which has no scores."""


@dataclass(frozen=True)
class Wanted:
    """What is to be shown beside the scores themselves."""

    by_part: bool = False
    """One table for each category of target, or step of a sequence."""
    mean: bool = False
    """The seeds of a method as one row."""
    shape: str | None = None
    """Only the rows of one of the paper's tables, by number, in its order; of Table 2 the costs alone."""
    costs: bool = False
    """What every stage cost."""
    significance: bool = False
    """Paired tests."""
    against: str | None = None
    """With which method the tests compare; None is the best of each column."""
    published: bool = False
    """The paper's figures, apart."""


@dataclass(frozen=True)
class Board:
    """One table and the sheets that belong to it."""

    table: Table
    """The scores."""
    sheets: tuple[Sheet, ...] = ()
    """Tests and costs of its runs."""


def boards(entries: Sequence[Entry], wanted: Wanted) -> list[Board]:
    """Return a board for each set of runs that may be compared, or for each of its parts.

    Raises:
        UserError: A row that is asked for is not there.
    """
    found: list[Board] = []
    refused: UserError | None = None
    for runs, notes in groups(entries):
        try:
            found += _of(runs, notes, wanted)
        except UserError as error:  # what one table lacks another may have
            refused = refused or error
    if refused is not None and not found:
        raise refused
    return found


def show(entries: Sequence[Entry], wanted: Wanted, kind: Format, interval: Interval = Interval.half) -> str:
    """Return tables, tests, costs and published figures as one text that ends in a newline."""
    found = boards(entries, wanted)
    apart = list(_published(wanted))
    if kind is Format.json:
        data = [{**plain(board.table), **{s.name: plain_sheet(s) for s in board.sheets}} for board in found]
        told = {"tables": data, **({"published": [plain_sheet(sheet) for sheet in apart]} if apart else {})}
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    scores = [] if wanted.shape == COSTS else [board.table for board in found]
    if kind is Format.csv:  # one head for all tables of scores
        sheets = [sheet for board in found for sheet in board.sheets]
        return "\n".join([*([render(scores, kind)] if scores else []), *_rendered([*sheets, *apart], kind)])
    texts = []
    for board in found:
        texts += [render([board.table], kind, interval)] if scores else []
        texts += _rendered(board.sheets, kind)
    return "\n".join([*texts, *_rendered(apart, kind)])


def format_of(path: Path) -> Format:
    """Return how a file is written.

    Raises:
        UserError: Its ending says nothing of that.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot tell how to write {path}", "its name's ending decides", f"end it in {_endings()}")
    return SUFFIXES[path.suffix.lower()]


def _endings() -> str:
    return ", ".join(SUFFIXES)


def _of(runs: list[Entry], notes: list[str], wanted: Wanted) -> Iterator[Board]:
    in_shape = wanted.shape in published.TABLES
    if in_shape:
        runs, missing = shapes.members(runs, str(wanted.shape))
        notes = [*notes, *missing]
    if wanted.mean:
        runs, told = seeds.merge_all(runs)
        notes = [*notes, *told]
    if in_shape:
        runs = shapes.named(runs, str(wanted.shape))
    for part in [ALL, *map(str, PARTS)] if wanted.by_part else [ALL]:
        if part in runs[0].record.scores:
            table = table_of(runs, part, notes)
            if in_shape:
                table = replace(table, heading=f"in the shape of Table {wanted.shape}; {table.heading}")
            yield Board(table, tuple(_sheets(table, runs, wanted)))


def _sheets(table: Table, runs: Sequence[Entry], wanted: Wanted) -> Iterator[Sheet]:
    if wanted.significance or wanted.against is not None:
        found = significance.tests(table, runs, wanted.against)
        if found:
            yield significance.sheet(table, found)
    if (wanted.costs or wanted.shape == COSTS) and table.category == ALL:
        yield cost_table.sheet([run.record for run in runs])


def _published(wanted: Wanted) -> Iterator[Sheet]:
    if wanted.published:
        if wanted.shape != COSTS:
            yield published.sheet(wanted.shape or "1")
        if wanted.costs or wanted.shape == COSTS:
            yield published.sheet(COSTS)


def _rendered(sheets: Sequence[Sheet], kind: Format) -> list[str]:
    return [render_sheet(sheet, kind) for sheet in sheets]
