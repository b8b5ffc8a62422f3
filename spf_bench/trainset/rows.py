"""Candidates as the later stages see them: texts, image, and who painted it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import file_sha256
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.paint import Painting
from spf_bench.trainset.plan import Plan
from spf_bench.triple import Triple


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate."""

    triple: Triple
    """Its texts and noise seed; the base text is the captioner's where there is one."""
    image: Path
    """Its image."""
    sha256: str
    """SHA-256 of the image's file."""
    model: int
    """Number of the checkpoint that painted it."""


@dataclass(frozen=True)
class Rows:
    """All candidates, read from disk a chunk at a time."""

    plan: Plan
    paintings: Sequence[Painting]
    captions: Stage | None = None
    """Base texts of a captioning model; None where the grammar's stand."""

    def of(self, chunk: int) -> list[Row]:
        """Return the candidates of a chunk in their order."""
        sums = {row["id"]: row["sha256"] for painting in self.paintings for row in painting.stage.lines(chunk)}
        told = {row["id"]: tuple(row["phrases"]) for row in self.captions.lines(chunk)} if self.captions else {}
        n = self.paintings[0].stage.size(chunk)
        return [self._row(chunk, triple, told.get(triple.id), sums[triple.id]) for triple in self.plan.whole(chunk)[:n]]

    def _row(self, chunk: int, triple: Triple, phrases: tuple[str, ...] | None, sha256: str) -> Row:
        painting = next(painting for painting in self.paintings if painting.mine(triple))
        said = replace(triple, base=", ".join(phrases), phrases=phrases) if phrases else triple
        return Row(said, painting.image(chunk, triple), sha256, painting.place[0])

    def refuse_damaged(self, chunk: int, rows: Sequence[Row]) -> None:
        """Forget images that are not as they were painted, so that the same command paints them again.

        Raises:
            UserError: Naming them.
        """
        damaged = [row for row in rows if not row.image.is_file() or file_sha256(row.image) != row.sha256]
        for row in damaged:
            row.image.unlink(missing_ok=True)
            self.paintings[row.model].stage.path(chunk, ".jsonl").unlink(missing_ok=True)
        if damaged:
            problems = [Problem(str(row.image), "is missing or altered", "") for row in damaged]
            raise UserError(
                f"{len(damaged)} images are not as they were painted", "", "run the command again", problems
            )


def batches(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Cut rows into batches of one checkpoint each, whose images are of one size."""
    for model in sorted({row.model for row in rows}):
        mine = [row for row in rows if row.model == model]
        yield from (mine[start : start + size] for start in range(0, len(mine), size))


def pixels(rows: Sequence[Row]) -> np.ndarray:
    """Return the images [B, H, W, 3] uint8 of rows that one checkpoint painted."""
    found = []
    for row in rows:
        with PILImage.open(row.image) as image:
            found.append(np.asarray(image.convert("RGB")))
    return np.stack(found)
