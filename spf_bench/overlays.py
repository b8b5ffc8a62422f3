"""Grids of maps of one triple, kept beside a run: what the report shows and Fig. 2 and 3 are drawn from.

A file ``<run>/overlays/<triple id>.<kind>.npz`` holds pictures, not maps: whoever makes it decides the colours. Any
method may write some; ``spf-bench show sfcm`` and ``spf-bench show attention`` write those of SPF.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.errors import UserError
from spf_bench.files.store import write_atomic
from spf_bench.record import RECORD, RunRecord
from spf_bench.tracks import Track

FOLDER = "overlays"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Strip:
    """One row of a grid."""

    label: str
    """What it shows."""
    cells: Sequence[Pixels]
    """Pictures [H, W, 3] of any size."""
    heads: Sequence[str] = ()
    """What stands above its cells; nothing where the row above says it."""


@dataclass(frozen=True)
class Grid:
    """All rows about one triple."""

    triple: str
    """Its id."""
    kind: str
    """What is shown: ``sfcm``, ``attention``, or a word of the method's own."""
    title: str
    """Usually the complete text."""
    strips: Sequence[Strip]


def save(grid: Grid, run: Path) -> Path:
    """Write a grid into a run's folder in one step and return its path."""
    facts = [{"label": s.label, "heads": list(s.heads), "cells": len(s.cells)} for s in grid.strips]
    about = json.dumps({"triple": grid.triple, "kind": grid.kind, "title": grid.title, "strips": facts})
    cells = {f"{i}-{j}": cell for i, strip in enumerate(grid.strips) for j, cell in enumerate(strip.cells)}
    path = run / FOLDER / f"{grid.triple}.{grid.kind}.npz"
    write_atomic(path, lambda part: _write(part, about, cells))
    return path


def keep(grid: Grid, runs: Path, checkpoint: str) -> list[Path]:
    """Write a grid into every run of single triples whose weights have this SHA-256; return the paths."""
    records = ((path.parent, RunRecord.load(path)) for path in sorted(runs.rglob(RECORD)))
    mine = (folder for folder, r in records if (r.weights.get("checkpoint"), r.track) == (checkpoint, Track.triples))
    return [save(grid, folder) for folder in mine]


def find(run: Path, kind: str | None = None) -> Iterator[Grid]:
    """Yield the grids of a run by their triples' ids, all or those of one kind.

    Raises:
        UserError: A file there is not a grid.
    """
    for path in sorted((run / FOLDER).glob(f"*.{kind or '*'}.npz")):
        yield load(path)


def load(path: Path) -> Grid:
    """Read a grid.

    Raises:
        UserError: The file is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            strips = tuple(_strip(i, facts, stored) for i, facts in enumerate(about["strips"]))
            return Grid(str(about["triple"]), str(about["kind"]), str(about["title"]), strips)
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a grid of maps", str(error), "delete it, and draw it again") from error


def _strip(number: int, facts: dict[str, Any], stored: Any) -> Strip:
    cells = [np.asarray(stored[f"{number}-{j}"], np.uint8) for j in range(int(facts["cells"]))]
    if any(cell.ndim != 3 or cell.shape[2] != 3 for cell in cells):
        raise ValueError(f"row {number} holds something else than pictures [H, W, 3]")
    return Strip(str(facts["label"]), cells, tuple(map(str, facts["heads"])))


def _write(path: Path, about: str, cells: dict[str, Pixels]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(about), **cells)  # type: ignore[arg-type]
