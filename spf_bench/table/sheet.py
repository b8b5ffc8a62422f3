"""A table of words with the values behind them: costs, tests, published figures, verdicts."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spf_bench.table.layout import Format, booktabs, grid, md, notes_below, pipes, tex, tex_row, write_csv


@dataclass(frozen=True)
class Sheet:
    """A table that stands beside the scores, never among them."""

    name: str
    """What JSON calls it."""
    title: str
    """Its heading."""
    head: tuple[str, ...]
    """Titles of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """As printed; a cell may have several lines."""
    data: tuple[Mapping[str, Any], ...]
    """The same, row by row, as plain values by name; the names of the first are those of all."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside it."""
    breaks: tuple[int, ...] = ()
    """Columns, counted from the second, with a bar before them."""
    left: int = 1
    """How many columns are words, set to the left."""


def render_sheet(sheet: Sheet, kind: Format) -> str:
    """Return a sheet as one text that ends in a newline."""
    one: dict[Format, Callable[[Sheet], str]] = {
        Format.text: _text,
        Format.md: _markdown,
        Format.csv: _csv,
        Format.tex: _latex,
        Format.json: lambda s: json.dumps(plain(s), indent=2, ensure_ascii=False),
    }
    return one[kind](sheet).rstrip("\n") + "\n"


def plain(sheet: Sheet) -> dict[str, Any]:
    """Return a sheet as plain JSON types."""
    return {"title": sheet.title, "rows": [dict(row) for row in sheet.data], "notes": list(sheet.notes)}


def _text(sheet: Sheet) -> str:
    lines = grid([sheet.head, *sheet.rows], sheet.breaks, sheet.left) if sheet.rows else []
    return "\n".join([*notes_below([sheet.title]), *lines, *([""] if sheet.notes else []), *notes_below(sheet.notes)])


def _markdown(sheet: Sheet) -> str:
    notes = [line for note in sheet.notes for line in ("", md(note))]
    rows = [[" ".join(md(line) for line in cell.split("\n")) for cell in row] for row in (sheet.head, *sheet.rows)]
    table = ["", *pipes(rows, sheet.left)] if sheet.rows else []
    return "\n".join([f"**{md(sheet.title)}**", *table, *notes])


def _csv(sheet: Sheet) -> str:
    names = list(sheet.data[0]) if sheet.data else []
    return write_csv([names, *([row.get(name) for name in names] for row in sheet.data)])


def _latex(sheet: Sheet) -> str:
    def lines(rows: Sequence[Sequence[str]]) -> list[str]:
        return [tex_row(map(tex, row)) for row in rows]

    columns = "l" * sheet.left + "r" * (len(sheet.head) - sheet.left)
    return booktabs(columns, lines([sheet.head]), lines(sheet.rows), [sheet.title, *sheet.notes])
