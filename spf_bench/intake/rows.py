"""Rows of a user's CSV or JSONL file: cells by column, and a fault wherever a row is none."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spf_bench.captions.plain import plain
from spf_bench.errors import UserError
from spf_bench.files.lines import foreign, lines, objects
from spf_bench.files.outside import short

TEXTS = ("base", "target", "phrases")
COLUMNS = ("id", "base", "target", "category", "seed", "phrases", "image")
ALIASES = {"file_name": "image", "original": "image"}
"""What an exported test set, and a test set itself, call a column."""
SUFFIXES = {".csv": "comma-separated values with a header", ".jsonl": "one JSON object a line"}


@dataclass(frozen=True)
class Row:
    """One row, or why it is none."""

    line: int
    """The line it ends on, counted from 1."""
    cells: Mapping[str, Any] = field(default_factory=dict)
    """What it says, by column; a cell of a CSV file is text, an empty one is left out."""
    fault: str | None = None
    """What is wrong with the whole row."""


@dataclass(frozen=True)
class Table:
    """A file's rows."""

    rows: tuple[Row, ...]
    unused: tuple[str, ...]
    """Columns that mean nothing here."""


def read(path: Path) -> Table:
    """Read a file of captions.

    Raises:
        UserError: There is no such file, or nothing in it can be a row.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}", "", f"give a file of captions: {', '.join(SUFFIXES)}")
    if path.suffix.lower() not in SUFFIXES:
        known = "; ".join(f"{suffix}: {what}" for suffix, what in SUFFIXES.items())
        raise UserError(f"cannot tell what {path.name} is", f"known are {known}", "rename it")
    kind = foreign(path)
    if kind is not None:
        raise UserError(f"{path} is no text in UTF-8", f"it looks like {kind}", "save it as UTF-8 text")
    found = tuple(_csv(path) if path.suffix.lower() == ".csv" else _jsonl(path))
    names = dict.fromkeys(name for row in found for name in row.cells)
    if not found:
        raise UserError(f"{path} holds no captions", "it has no row", "add some")
    return Table(
        tuple(_known(row) for row in found), tuple(short(n) for n in names if ALIASES.get(n, n) not in COLUMNS)
    )


def _known(row: Row) -> Row:
    """Return a row by the columns' own names, without the cells that mean nothing here."""
    cells: dict[str, Any] = {}
    for name, value in row.cells.items():
        column = ALIASES.get(name, name)
        if column in cells:
            return Row(row.line, {}, f"says {column!r} twice, by two names")
        if column in COLUMNS:
            cells[column] = _plain(value) if column in TEXTS else value
    return Row(row.line, cells, row.fault)


def _plain(value: Any) -> Any:
    """Return a text, or a list of texts, as every tokenizer reads it; what is neither is refused later."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return plain(value) if isinstance(value, str) else value


def _jsonl(path: Path) -> Iterator[Row]:
    for number, value, fault in objects(lines(path)):
        if fault is None and not isinstance(value, dict):
            fault = f"{short(value)} is no object"
        yield Row(number, {} if fault else {k: v for k, v in value.items() if v is not None}, fault)


def _csv(path: Path) -> Iterator[Row]:
    """Yield the rows below the header; a row that breaks the format spoils no other."""
    feed = _Feed(path)
    reader = csv.reader(feed, strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            yield from feed.faults
            return
        except csv.Error as error:
            yield Row(feed.number, {}, f"is no CSV: {error}")
            continue
        if header is None and feed.faults:
            yield from feed.faults
            return
        if header is None:
            header = _header(path, cells)
        elif len(cells) not in (0, len(header)):
            yield Row(feed.number, {}, f"has {len(cells)} cells, the header has {len(header)}")
        elif cells:
            yield Row(feed.number, {name: cell for name, cell in zip(header, cells, strict=True) if cell})


class _Feed:
    """The lines of a file as csv reads them, and where it is; lines that are none are kept aside."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.faults: list[Row] = []
        self._lines = lines(path)

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number = line.number
            if line.fault is None:
                return f"{line.text}\n"
            self.faults.append(Row(line.number, {}, line.fault))
        raise StopIteration


def _header(path: Path, cells: list[str]) -> list[str]:
    """Return the columns' names; raises UserError where there is no header of ours."""
    names = [cell.strip().lower() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path} names columns twice", ", ".join(map(short, twice)), "each column once")
    if "base" not in names or "target" not in names:
        why = f"its first line is {short(','.join(cells))}"
        fix = f"begin with a line of column names, separated by commas: {','.join(COLUMNS)}"
        raise UserError(f"{path} has no header that names base and target", why, fix)
    return names
