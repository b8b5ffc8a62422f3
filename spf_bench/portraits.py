"""Customisation portraits in a folder: images, and ``metadata.jsonl`` as Hugging Face's imagefolder has it.

A line holds ``file_name``, ``base``, ``target`` and ``category``. Texts are read at once, images when needed.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

from spf_bench.errors import Problem, UserError
from spf_bench.picture import Picture
from spf_bench.suite import TrainSample
from spf_bench.triple import Category

METADATA = "metadata.jsonl"
SHOWN = 10
FORMAT = 'a line is {"file_name": "0001.png", "base": "...", "target": "...", "category": "clothing"}'


@dataclass(frozen=True)
class Row:
    """One line of the metadata."""

    id: str
    """The image's path below the folder."""
    base: str
    target: str
    category: Category


class Portraits(Sequence[TrainSample]):
    """The portraits of a folder; an image is opened, resized and cut square when its pixels are asked for."""

    def __init__(self, folder: Path, rows: Sequence[Row], size: int) -> None:
        self.folder, self.rows, self.size = folder, rows, size

    @classmethod
    def open(cls, folder: Path, size: int) -> Self:
        """Read a folder's texts; images come out as [size, size, 3].

        Raises:
            UserError: There is no metadata, or lines of it are not usable; they are named.
        """
        path = folder / METADATA
        if not path.is_file():
            raise UserError(f"there are no portraits in {folder}", f"it has no {METADATA}", FORMAT)
        found = list(_rows(folder, path))
        problems = [one for one in found if isinstance(one, Problem)]
        if problems:
            rest = len(problems) - SHOWN
            more = [Problem(f"and {rest} more", "", "")] if rest > 0 else []
            raise UserError(f"{len(problems)} lines of {path} cannot be used", problems=problems[:SHOWN] + more)
        rows = [one for one in found if isinstance(one, Row)]
        if not rows:
            raise UserError(f"there are no portraits in {folder}", f"{METADATA} is empty", FORMAT)
        return cls(folder, rows, size)

    def drawn(self, seed: int, n: int) -> "Portraits":
        """Return ``n`` of the portraits in an order drawn with ``seed``, or all where there are fewer."""
        import numpy as np

        order = np.random.default_rng(seed).permutation(len(self.rows))[:n]
        return Portraits(self.folder, [self.rows[i] for i in order], self.size)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> TrainSample: ...

    @overload
    def __getitem__(self, index: slice) -> "Portraits": ...

    def __getitem__(self, index: int | slice) -> "TrainSample | Portraits":
        if isinstance(index, slice):
            return Portraits(self.folder, self.rows[index], self.size)
        row = self.rows[index]
        picture = Picture(self.folder / row.id, self.size)
        return TrainSample(row.id, picture, row.base, row.target, row.category)


def _rows(folder: Path, path: Path) -> Iterator[Row | Problem]:
    seen: set[str] = set()
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            yield _row(line, folder, f"line {number}", seen)


def _row(line: bytes, folder: Path, where: str, seen: set[str]) -> Row | Problem:
    try:
        data: Any = json.loads(line)
        name, base, target = (data[key] for key in ("file_name", "base", "target"))
        category = Category(str(data["category"]).replace(" ", "_"))
    except KeyError as error:
        return Problem(where, f"there is no {error}", FORMAT)
    except (ValueError, TypeError) as error:
        return Problem(where, str(error), FORMAT)
    if not all(isinstance(text, str) and text.strip() for text in (name, base, target)):
        return Problem(where, "file_name, base and target must be texts", FORMAT)
    if os.path.isabs(name) or ".." in Path(name).parts or "\0" in name:
        return Problem(where, f"{name!r} leads out of the folder", "name files below it")
    if name in seen:
        return Problem(where, f"{name!r} is named before", "one line an image")
    seen.add(name)
    if not (folder / name).is_file():
        return Problem(where, f"there is no image {name!r}", "mend file_name")
    return Row(name, base, target, category)
