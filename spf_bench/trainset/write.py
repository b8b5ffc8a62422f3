"""Writes what the filters kept: an image folder or WebDataset tars, in parts that each process makes by itself."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spf_bench.files.store import clear_parts, write_atomic, write_text
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.chunks import Floats, Stage
from spf_bench.trainset.files import link, write_tar
from spf_bench.trainset.filters import KEPT, Filters
from spf_bench.trainset.rows import Row, Rows

Format = Literal["imagefolder", "webdataset"]
METADATA, CANDIDATES = "metadata.jsonl", "candidates.jsonl"
PART = 16
"""Chunks to a folder or tar: about a thousand images at the paper's 30 %."""
DIGITS = 6


@dataclass(frozen=True)
class Decided:
    """A chunk with what became of its candidates."""

    chunk: int
    reasons: NDArray[np.uint8]
    """Places in the filters' outcomes [N]."""
    scores: dict[str, Floats]
    """Each filter's scores [N], NaN where it was not asked."""


def decided(filters: Filters) -> Iterator[Decided]:
    """Yield all chunks with what became of their candidates."""
    known = {name: scores.known() for name, scores in filters.scores.items()}
    for chunk, reasons in enumerate(filters.reasons()):
        yield Decided(chunk, reasons, {name: next(values) for name, values in known.items()})


@dataclass(frozen=True)
class Writer:
    """Writes the parts of one set."""

    rows: Rows
    filters: Filters
    models: Sequence[str]
    """Names of the checkpoints, as the metadata shall have them."""
    stage: Stage
    """Folder in which the set grows until it is whole."""
    format: Format

    @property
    def set(self) -> Path:
        """The set itself, which is moved to its place once it is whole."""
        return self.stage.folder / "set"

    def make(self, share: Share, progress: Progress) -> None:
        """Write the parts that are not there yet of this process's share.

        Raises:
            UserError: Images are not as they were painted.
        """
        absent = [part for part in self._parts() if not self._note(part, METADATA).is_file()]
        share.wait()
        left = set(share.of_processes(absent))
        task = progress.task("write", len(left))
        chunks: list[Decided] = []
        for one in decided(self.filters):  # from the first: whether a tie passes depends on those before it
            part = one.chunk // PART
            chunks += [one] if part in left else []
            if chunks and (one.chunk == self.stage.chunks[-1] or (one.chunk + 1) % PART == 0):
                self._write(part, chunks)
                chunks.clear()
                task.advance()

    def finish(self, extra: Callable[[Path], None]) -> Path:
        """Put the parts' lists together and return the folder of the whole set; ``extra`` adds what describes it."""
        self.set.mkdir(parents=True, exist_ok=True)
        clear_parts(self.set)
        if self.format == "imagefolder":
            self._join(METADATA)
        self._join(CANDIDATES)
        extra(self.set)
        return self.set

    def _parts(self) -> range:
        return range(-(-len(self.stage.chunks) // PART))

    def _note(self, part: int, name: str) -> Path:
        return self.stage.folder / f"{part:05}-{name}"

    def _join(self, name: str) -> None:
        def write(path: Path) -> None:
            with path.open("wb") as whole:
                for part in self._parts():
                    with self._note(part, name).open("rb") as piece:
                        shutil.copyfileobj(piece, whole)

        write_atomic(self.set / name, write)

    def _write(self, part: int, chunks: Sequence[Decided]) -> None:
        """Write a part: its images, then its lists, the one that says that it is whole last."""
        told, kept = list[str](), list[tuple[Row, dict[str, Any]]]()
        for one in chunks:
            rows = self.rows.of(one.chunk)
            good = [row for row, reason in zip(rows, one.reasons, strict=True) if reason == 0]
            self.rows.refuse_damaged(one.chunk, good)
            for i, row in enumerate(rows):
                facts = self._facts(row, {name: values[i] for name, values in one.scores.items()})
                outcome = self.filters.outcomes[one.reasons[i]]
                told.append(_line({**facts, "outcome": outcome}))
                kept += [(row, facts)] if outcome == KEPT else []
        lines = self._tar(part, kept) if self.format == "webdataset" else self._folder(part, kept)
        write_text(self._note(part, CANDIDATES), "".join(told))
        write_text(self._note(part, METADATA), "".join(lines))

    def _folder(self, part: int, kept: Iterable[tuple[Row, dict[str, Any]]]) -> Iterator[str]:
        folder = self.set / "images" / f"{part:05}"
        folder.mkdir(parents=True, exist_ok=True)
        clear_parts(folder)
        for row, facts in kept:
            link(row.image, folder / row.image.name)
            yield _line({"file_name": f"images/{part:05}/{row.image.name}", **facts})

    def _tar(self, part: int, kept: Sequence[tuple[Row, dict[str, Any]]]) -> Iterator[str]:
        if kept:
            samples = ((row.image, _line(facts).encode()) for row, facts in kept)
            write_tar(self.set / f"train-{part:05}.tar", samples)
        return (_line(facts) for _, facts in kept)

    def _facts(self, row: Row, scores: dict[str, np.float32]) -> dict[str, Any]:
        triple = row.triple
        known = {name: round(float(score), DIGITS) for name, score in scores.items() if np.isfinite(score)}
        return {
            "id": triple.id,
            "text": triple.prompt,
            "base": triple.base,
            "target": triple.target,
            "category": triple.category.value,
            "seed": triple.seed,
            "model": self.models[row.model],
            **known,
            "sha256": row.sha256,
        }


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False) + "\n"
