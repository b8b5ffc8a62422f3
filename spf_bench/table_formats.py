"""Tables as text, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from textwrap import wrap

from spf_bench import published
from spf_bench.record import Column, Score
from spf_bench.table import Cell, Row, Table

WIDTH = 120
LEGEND = (
    "* the best number of the rows that compete",
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


class Format(StrEnum):
    """What a table can be printed as."""

    text = "text"
    md = "md"
    csv = "csv"
    tex = "tex"


def render(tables: Sequence[Table], kind: Format, interval: Interval = Interval.half) -> str:
    """Return ``tables`` as one text that ends in a newline."""
    if kind is Format.csv:
        return _csv(tables)
    one: dict[Format, Callable[[Table, Interval], str]] = {
        Format.text: _text,
        Format.md: _markdown,
        Format.tex: _latex,
    }
    return "\n\n".join(one[kind](table, interval) for table in tables) + "\n"


def render_published(kind: Format, table: str = "1") -> str:
    """Return the paper's figures, one of its tables by number, with the note that sets them apart."""
    source, rows = f"Table {table} of {published.SOURCE}", published.TABLES[table]
    head = ["method", *published.TITLES]
    body = [[row.method, *(f"{value:.2f}" for value in row.values)] for row in rows]
    notes = [f"{row.method}: {row.note}" for row in rows if row.note]
    if kind is Format.csv:
        return _write_csv([["published method", *published.COLUMNS], *body])
    if kind is Format.md:
        return "\n".join([f"**{source}**", "", *_pipes([head, *body]), "", published.NOTE, *notes]) + "\n"
    if kind is Format.tex:
        lines = [_tex_row(map(_escape, row)) for row in (head, *body)]
        return _booktabs("l" + "r" * len(published.COLUMNS), lines[:1], lines[1:], [published.NOTE, *notes]) + "\n"
    lines = [line for note in (published.NOTE, *notes) for line in wrap(note, WIDTH)]
    return "\n".join([source, *_grid([head, *body], breaks=(5, 6)), "", *lines]) + "\n"


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
    grid = [["method", *_titles(table.columns)]]
    for row in table.rows:
        grid.append([_label(row), *(_mark(row.cells.get(c.key), c) for c in table.columns)])
        grid += _below(row, table.columns, interval)
    lines = [line for note in (*LEGEND, *table.notes) for line in wrap(note, WIDTH, subsequent_indent="  ")]
    return "\n".join([table.heading, *_grid(grid, _breaks(table.columns)), "", *lines])


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
        value = f"**{value}**" if found.best else value
        return f"{value} {_spread(found, column, interval)}".rstrip()

    body = [[_label(row), *(cell(row, column) for column in table.columns)] for row in table.rows]
    notes = [line for note in table.notes for line in ("", note)]
    return "\n".join([f"**{table.heading}**", "", *_pipes([["method", *_titles(table.columns)], *body]), *notes])


def _latex(table: Table, interval: Interval) -> str:
    def cell(row: Row, column: Column) -> str:
        found = row.cells.get(column.key)
        if found is None or found.score.mean is None:
            return "--"
        value = number(found.score.mean, column) + (r"\textsuperscript{\dag}" if found.partial else "")
        value = rf"\textbf{{{value}}}" if found.best else value
        width = _spread(found, column, interval).replace("±", r"$\pm$").replace("–", "--")
        return value + (rf" {{\scriptsize {width}}}" if width else "")

    arrows = map(_escape, _titles(table.columns))
    groups = ["r" * len(list(group)) for _, group in groupby(table.columns, key=lambda c: c.group)]
    body = [_tex_row([_escape(_label(row)), *(cell(row, c) for c in table.columns)]) for row in table.rows]
    return _booktabs(
        "l" + r"@{\hskip 1.2em}".join(groups), [_tex_row(["Method", *arrows])], body, [table.heading, *table.notes]
    )


def _csv(tables: Sequence[Table]) -> str:
    columns = list({column.key: column for table in tables for column in table.columns}.values())
    facts = ["suite", "testset", "testset_sha256", "category", "n", "method", "label", "preset", "seed", "run"]
    head = [*facts, "over_aligned", *(c.key + end for c in columns for end in ("", "_lo", "_hi", "_n"))]
    return _write_csv([head, *(_csv_row(table, row, columns) for table in tables for row in table.rows)])


def _csv_row(table: Table, row: Row, columns: Iterable[Column]) -> list[object]:
    r = row.record
    facts = [r.suite, r.testset.name, r.testset.sha256, table.category, table.n, r.method.name, row.label, r.preset]
    scores = [row.cells[c.key].score if c.key in row.cells else None for c in columns]
    values = [v for s in scores for v in ((s.mean, s.lo, s.hi, s.n) if s else (None,) * 4)]
    return [*facts, r.seed, r.run, row.unresponsive, *values]


def _write_csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _titles(columns: Iterable[Column]) -> list[str]:
    return [heading(column.title, column.higher_is_better) for column in columns]


def _label(row: Row) -> str:
    return row.label + (" !" if row.unresponsive else "")


def _mark(cell: Cell | None, column: Column) -> str:
    """A number and, in a column of its own, its mark."""
    if cell is None:
        return "– "
    return number(cell.score.mean, column) + ("*" if cell.best else "†" if cell.partial else " ")


def _spread(cell: Cell | None, column: Column, interval: Interval) -> str:
    return spread(cell.score, column, interval) if cell else ""


def _breaks(columns: Sequence[Column]) -> tuple[int, ...]:
    return tuple(i for i in range(1, len(columns)) if columns[i].group != columns[i - 1].group)


def _grid(rows: Sequence[Sequence[str]], breaks: Sequence[int]) -> list[str]:
    """Lay rows out in columns, the first to the left, the others to the right; a bar before each break."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    bars = ["" if i == 0 else " | " if i - 1 in breaks else "  " for i in range(len(widths))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return "".join(bar + cell for bar, cell in zip(bars, cells, strict=True)).rstrip()

    rule = "─" * len("".join(bar + " " * width for bar, width in zip(bars, widths, strict=True)))
    return [rule, line(rows[0]), rule, *map(line, rows[1:]), rule]


def _pipes(rows: Sequence[Sequence[str]]) -> list[str]:
    rule = "|".join(["---", *["---:"] * (len(rows[0]) - 1)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], f"|{rule}|", *lines[1:]]


def _booktabs(columns: str, head: Sequence[str], body: Sequence[str], notes: Sequence[str]) -> str:
    comments = [f"% {note}" for note in notes]
    start = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    return "\n".join([*comments, *start, *head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"])


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escape(text: str) -> str:
    special = {"%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    return "".join(special.get(character, character) for character in text)
