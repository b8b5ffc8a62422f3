"""Tables of scores as text, Markdown, CSV, LaTeX and JSON."""

import json
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from spf_bench.record import Column, Score
from spf_bench.table.data import plain, to_csv
from spf_bench.table.layout import WIDTH, Format, booktabs, grid, md, notes_below, pipes, tex, tex_row
from spf_bench.table.model import Cell, Row, Table
from spf_bench.table.notes import cautions
from spf_bench.table.published import sheet as published_sheet
from spf_bench.table.sheet import render_sheet

__all__ = ["WIDTH", "Format", "Interval", "heading", "number", "render", "render_published", "spread"]

LEGEND = (
    "* the best, ° the second of the rows that compete",
    "± or range: 95 % interval, by paired bootstrap over triples, for FID by jackknife",
)


class Interval(StrEnum):
    """How a 95 % interval is printed."""

    half = "half"
    """Half its width after a ±."""
    range = "range"
    """Its two ends."""
    none = "none"
    """Not at all."""


def render(tables: Sequence[Table], kind: Format, interval: Interval = Interval.half) -> str:
    """Return ``tables`` as one text that ends in a newline."""
    if kind is Format.csv:
        return to_csv(tables)
    if kind is Format.json:
        return json.dumps([plain(table) for table in tables], indent=2, ensure_ascii=False) + "\n"
    one: dict[Format, Callable[[Table, Interval], str]] = {
        Format.text: _text,
        Format.md: _markdown,
        Format.tex: _latex,
    }
    return "\n\n".join(one[kind](table, interval) for table in tables) + "\n"


def render_published(kind: Format, table: str = "1") -> str:
    """Return the paper's figures, one of its tables by number, with the note that sets them apart."""
    return render_sheet(published_sheet(table), kind)


def heading(title: str, higher_is_better: bool) -> str:
    """Return a column's name with the arrow of its better direction."""
    return title + ("↑" if higher_is_better else "↓")


def number(value: float | None, column: Column) -> str:
    """Return a value with its column's decimals; a dash where it was not measured."""
    return "–" if value is None else f"{value:.{column.decimals}f}"


def spread(score: Score, column: Column, interval: Interval) -> str:
    """Return a score's interval, empty where it has none."""
    if interval is Interval.none or score.lo is None or score.hi is None:
        return ""
    if interval is Interval.half:
        return f"±{number((score.hi - score.lo) / 2, column)}"
    return f"{number(score.lo, column)}–{number(score.hi, column)}"


def _text(table: Table, interval: Interval) -> str:
    blocks = ["\n".join(_block(table, columns, interval)) for columns in _folded(table, interval)]
    return "\n".join([*notes_below([table.heading]), *blocks, "", *notes_below((*LEGEND, *table.notes))])


def _folded(table: Table, interval: Interval) -> list[list[Column]]:
    """Return the columns in blocks that fit a terminal; a group of columns is kept whole where it can be."""
    blocks: list[list[Column]] = [[]]
    for _, group in groupby(table.columns, key=lambda c: c.group):
        whole = list(group)
        if blocks[-1] and not _fits(table, [*blocks[-1], *whole], interval):
            blocks.append([])
        for column in whole:
            if blocks[-1] and not _fits(table, [*blocks[-1], column], interval):
                blocks.append([])
            blocks[-1].append(column)
    return blocks


def _fits(table: Table, columns: Sequence[Column], interval: Interval) -> bool:
    return len(_block(table, columns, interval)[0]) <= WIDTH


def _block(table: Table, columns: Sequence[Column], interval: Interval) -> list[str]:
    rows = [["method", *_titles(columns)]]
    for row in table.rows:
        rows.append([_label(row), *(_mark(row.cells.get(c.key), c) for c in columns)])
        rows += _below(row, columns, interval)
    return grid(rows, _breaks(columns))


def _below(row: Row, columns: Sequence[Column], interval: Interval) -> list[list[str]]:
    """Return the lines under a row: one of half widths, or one for each end; ten ranges would not fit in one."""
    scores = [row.cells[c.key].score if c.key in row.cells else None for c in columns]
    if interval is Interval.none or not any(score and score.lo is not None for score in scores):
        return []
    if interval is Interval.half:
        return [["", *(f"{_spread(row.cells.get(c.key), c, interval)} " for c in columns)]]  # a space under the mark
    lows, highs = [score.lo if score else None for score in scores], [score.hi if score else None for score in scores]
    return [
        [word, *(f"{number(end, c)} " for end, c in zip(ends, columns, strict=True))]
        for word, ends in (("  from", lows), ("  to", highs))
    ]


def _markdown(table: Table, interval: Interval) -> str:
    def cell(row: Row, column: Column) -> str:
        found = row.cells.get(column.key)
        if found is None:
            return "–"
        value = number(found.score.mean, column) + ("†" if found.partial else "")
        value = f"**{value}**" if found.best else f"<u>{value}</u>" if found.second else value
        return f"{value} {_spread(found, column, interval)}".rstrip()

    body = [[md(_label(row)), *(cell(row, column) for column in table.columns)] for row in table.rows]
    notes = [line for note in table.notes for line in ("", md(note))]
    return "\n".join(
        [f"**{md(table.heading)}**", "", *pipes([["method", *map(md, _titles(table.columns))], *body]), *notes]
    )


def _latex(table: Table, interval: Interval) -> str:
    def cell(row: Row, column: Column) -> str:
        found = row.cells.get(column.key)
        if found is None or found.score.mean is None:
            return "--"
        value = tex(number(found.score.mean, column) + ("†" if found.partial else ""))
        value = rf"\textbf{{{value}}}" if found.best else rf"\underline{{{value}}}" if found.second else value
        width = tex(_spread(found, column, interval))
        return value + (rf" {{\scriptsize {width}}}" if width else "")

    groups = ["r" * len(list(group)) for _, group in groupby(table.columns, key=lambda c: c.group)]
    columns = "l" + r"@{\hskip 1.2em}".join(groups)
    body = [tex_row([tex(_label(row)), *(cell(row, c) for c in table.columns)]) for row in table.rows]
    head = [tex_row(["Method", *map(tex, _titles(table.columns))])]
    return booktabs(columns, head, body, [table.heading, *table.notes], _seen(table))


def _seen(table: Table) -> list[str]:
    """Return what a printed table must say itself: its comments are not printed."""
    missing = [row.cells[c.key].score for row in table.rows for c in table.columns if c.key in row.cells]
    short = [f"{n} of {of}" for n, of in sorted({(s.n, s.n + s.missing) for s in missing if s.missing})]
    found = [*cautions([row.named for row in table.rows])]
    return [*found, *([f"† measured on {', '.join(short)}"] if short else [])]


def _titles(columns: Iterable[Column]) -> list[str]:
    return [heading(column.title, column.higher_is_better) for column in columns]


def _label(row: Row) -> str:
    return row.label + (" !" if row.unresponsive else "")


def _mark(cell: Cell | None, column: Column) -> str:
    """A number and, in a column of its own, its mark."""
    if cell is None:
        return "– "
    return number(cell.score.mean, column) + (
        "*" if cell.best else "°" if cell.second else "†" if cell.partial else " "
    )


def _spread(cell: Cell | None, column: Column, interval: Interval) -> str:
    return spread(cell.score, column, interval) if cell else ""


def _breaks(columns: Sequence[Column]) -> tuple[int, ...]:
    return tuple(i for i in range(1, len(columns)) if columns[i].group != columns[i - 1].group)
