"""The texts of images that were made elsewhere: from CSV, JSONL, an imagefolder's metadata, or a test set's triples."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from spf_bench import testset
from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import short
from spf_bench.files.store import digest, file_sha256
from spf_bench.intake.rows import Row, read
from spf_bench.intake.triples import CHECKS
from spf_bench.triple import Category, Triple, Uncategorised
from spf_bench.world.testset import noise_seed

ANONYMOUS = ("metadata", "triples", "captions")
"""Names of files that say nothing of what is in them: their folder's name is taken instead."""


@dataclass(frozen=True)
class Captions:
    """What was asked for in images."""

    name: str
    """Of a frozen test set, where the triples are exactly its own; else of the file."""
    sha256: str
    """Of the triples, the same whatever file they come from."""
    triples: tuple[Triple, ...]
    """In the order of the file."""


def read_captions(path: Path, category: str | None = None) -> Captions:
    """Read a file of captions.

    Args:
        path: CSV or JSONL with ``base``, ``target``, and ``id`` or ``file_name``, whose stem is the id; ``category``,
            ``phrases`` and ``seed`` are optional. Or a test set's ``triples.jsonl``.
        category: What rows without a category belong to; None: they count in the whole alone.

    Raises:
        UserError: Rows are not usable; all of them are named by their line.
    """
    triples = testset.parse(path) if path.name == testset.TRIPLES else tuple(_rows(path, category))
    if any(isinstance(triple, Uncategorised) for triple in triples):
        texts = [(triple.id, triple.base, triple.target, triple.part) for triple in triples]
        return Captions(_name(path), digest(texts, length=64), triples)
    sha256 = hashlib.sha256(testset.serialise(triples).encode()).hexdigest()
    frozen = testset.available().items()
    known = [name for name, folder in frozen if file_sha256(folder / testset.TRIPLES) == sha256]
    return Captions(known[0] if known else _name(path), sha256, triples)


def _name(path: Path) -> str:
    return path.absolute().parent.name or path.stem if path.stem in ANONYMOUS else path.stem


def _rows(path: Path, category: str | None) -> Iterator[Triple]:
    rows = [_with_id(row, category) for row in read(path).rows]
    problems = [Problem(f"line {row.line}", fault, "") for row in rows for fault in _faults(row)]
    first: dict[str, int] = {}
    for row in rows:
        key = str(row.cells.get("id", "")).casefold()
        if key and first.setdefault(key, row.line) != row.line:
            problems.append(
                Problem(f"line {row.line}", f"id {short(row.cells['id'])} is that of line {first[key]}", "")
            )
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems):,} problems"
        problems.sort(key=lambda problem: int(problem.subject.split()[1]))
        raise UserError(f"{count} in {path}", "nothing was scored", problems=problems[: testset.SHOWN])
    yield from map(_triple, rows)


def _with_id(row: Row, category: str | None) -> Row:
    """Return a row with its id, which may be the stem of its file, and its category as it is called in files."""
    cells = dict(row.cells)
    if "id" not in cells and isinstance(cells.get("image"), str):
        cells["id"] = PurePosixPath(cells["image"].replace("\\", "/")).stem
    said = cells.get("category", category)
    if said is not None:
        cells["category"] = said.strip().lower().replace(" ", "_") if isinstance(said, str) else said
    cells.pop("image", None)
    return Row(row.line, cells, row.fault)


def _faults(row: Row) -> Iterator[str]:
    if row.fault is not None:
        yield row.fault
        return
    if "id" not in row.cells:
        yield "id is missing, and file_name too"
    yield from (f"{name} is missing" for name in ("base", "target") if name not in row.cells)
    for name, check in CHECKS.items():
        if name in row.cells and (fault := check(row.cells[name])) is not None:
            yield f"{name} {fault}"


def _triple(row: Row) -> Triple:
    cells: Mapping[str, Any] = row.cells
    base, target = cells["base"].strip(), cells["target"].strip()
    listed = cells.get("phrases")
    phrases = tuple(text.strip() for text in (listed if isinstance(listed, list) else base.split(",")) if text.strip())
    seed = int(cells["seed"]) if "seed" in cells else noise_seed(cells["id"])
    if "category" not in cells:
        return Uncategorised(cells["id"], base, target, Category.appearance, seed, phrases)
    return Triple(cells["id"], base, target, Category(cells["category"]), seed, phrases)
