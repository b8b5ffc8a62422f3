"""Turns rows from outside into triples, and says of every row that cannot become one why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spf_bench.captions.tokens import LIMIT, pieces
from spf_bench.files.outside import category_fault, id_fault, path_fault, phrases_fault, seed_fault, short, text_fault
from spf_bench.intake.rows import Row
from spf_bench.triple import Category, Triple
from spf_bench.world.testset import noise_seed

DIGITS = re.compile("[0-9]{1,19}")


@dataclass(frozen=True)
class Case:
    """One row that is a triple."""

    line: int
    """Where it came from."""
    triple: Triple
    image: str | None
    """The image that goes with it, as the row names it."""
    seeded: bool
    """Whether the row names its noise seed."""


def cases(rows: tuple[Row, ...], name: str, category: str | None) -> Iterator[Case | tuple[int, str]]:
    """Yield a case for every row that is one, and line and fault of the others.

    Args:
        rows: The rows of a file.
        name: The test set's name; rows without an id get it with their number.
        category: What rows without a category belong to.
    """
    for number, row in enumerate(rows, start=1):
        if row.fault is not None:
            yield row.line, row.fault
            continue
        cells = {"id": f"{name}-{number:04}", **({"category": category} if category else {}), **row.cells}
        faults = list(_faults(cells))
        yield from ((row.line, fault) for fault in faults)
        if not faults:
            yield _case(row, cells)


def repeats(found: list[Case]) -> Iterator[tuple[int, str]]:
    """Yield line and fault of every case that stands in the file twice; ids differ in more than their case."""
    ids: dict[str, int] = {}
    texts: dict[tuple[str, str, int | None], int] = {}
    for case in found:
        triple = case.triple
        first = ids.setdefault(triple.id.casefold(), case.line)
        if first != case.line:
            yield case.line, f"id {short(triple.id)} is that of line {first}"
        text = (triple.base.casefold(), triple.target.casefold(), triple.seed if case.seeded else None)
        first = texts.setdefault(text, case.line)
        if first != case.line:
            yield case.line, f"says the same as line {first}"


def _case(row: Row, cells: Mapping[str, Any]) -> Case:
    base, target = cells["base"].strip(), cells["target"].strip()
    listed = cells.get("phrases")
    phrases = listed if isinstance(listed, list) else base.split(",")
    seed = int(cells["seed"]) if "seed" in cells else noise_seed(cells["id"])
    kept = tuple(phrase.strip() for phrase in phrases if phrase.strip())
    triple = Triple(cells["id"], base, target, Category(str(_plain(cells["category"]))), seed, kept)
    return Case(row.line, triple, cells.get("image"), "seed" in cells)


def _faults(cells: Mapping[str, Any]) -> Iterator[str]:
    for name in ("base", "target", "category"):
        if name not in cells:
            yield f"{name} is missing"
    for name, check in CHECKS.items():
        if name in cells and (fault := check(cells[name])) is not None:
            yield f"{name} {fault}"
    texts = [cells.get("base"), cells.get("target")]
    if not any(map(text_fault, texts)):
        least = 3 + sum(len(pieces(str(text))) for text in texts)  # start, end, and the comma between
        if least > LIMIT:
            yield f"base and target have at least {least} tokens, CLIP reads {LIMIT}"
    listed = cells.get("phrases")
    if isinstance(listed, list) and not (text_fault(texts[0]) or phrases_fault(listed)):
        yield from (f"phrase {short(one)} is not in base" for one in listed if one.strip() not in str(texts[0]))


def _plain(category: object) -> object:
    """Return a category as it is called in files, given it in words."""
    return category.strip().lower().replace(" ", "_") if isinstance(category, str) else category


def _seed(value: object) -> str | None:
    return seed_fault(int(value) if isinstance(value, str) and DIGITS.fullmatch(value) else value)


def _phrases(value: object) -> str | None:
    """A CSV file has no lists: its phrases are those of the base text."""
    return None if isinstance(value, str) else phrases_fault(value)


CHECKS: dict[str, Any] = {
    "id": id_fault,
    "base": text_fault,
    "target": text_fault,
    "category": lambda value: category_fault(_plain(value)),
    "seed": _seed,
    "phrases": _phrases,
    "image": path_fault,
}
