"""Paints the planned candidates: each from its complete text and noise, by the checkpoint that its seed picks."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from spf_bench.files.store import code_sha256, file_sha256, folder_sha256, write_atomic
from spf_bench.memory import FOLDER, Halving
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.suite import Sampling
from spf_bench.trainset.chunks import Stage, shared
from spf_bench.trainset.painters import Painter, load_painter
from spf_bench.trainset.plan import Plan
from spf_bench.triple import Triple

CODE = ("spf_bench.models.backbone", "spf_bench.models.base_model", "spf_bench.trainset.painters", __name__)
QUALITY: dict[str, dict[str, Any]] = {"png": {}, "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0}}
"""How images of each kind are written."""


@dataclass(frozen=True)
class Canvas:
    """How candidates are painted, whoever paints them."""

    sampling: Sampling
    """Sampler, steps, guidance, negative prompt and precision."""
    batch: int
    """Images painted together."""
    kind: str = "png"
    """File type, a key of ``QUALITY``."""
    size: int | None = None
    """Side of the stored images in pixels; None is as large as the checkpoint makes them."""


@dataclass(frozen=True)
class Painting:
    """One checkpoint's part of the candidates."""

    stage: Stage
    """Its images, and of each chunk a list of them with their SHA-256."""
    model: Path
    """The checkpoint."""
    place: tuple[int, int]
    """Its number among the checkpoints, and how many there are."""
    canvas: Canvas
    """How it paints."""
    facts: dict[str, Any]
    """What decides its images."""

    @classmethod
    def of(cls, work: Path, plan: Plan, model: Path, place: tuple[int, int], canvas: Canvas, device: str) -> "Painting":
        """Return the part of checkpoint ``place[0]`` of ``place[1]``."""
        facts = {
            "plan": plan.stage.folder.name,
            "model": folder_sha256(model),
            "place": place,
            "canvas": asdict(canvas),
            "device": device.split(":")[0],
            "code": code_sha256(*CODE),
        }
        return cls(
            Stage.of(work, f"images-{place[0] + 1}", facts, plan.total, plan.stage.chunk), model, place, canvas, facts
        )

    def mine(self, triple: Triple) -> bool:
        """Say whether this checkpoint paints a candidate."""
        return triple.seed % self.place[1] == self.place[0]

    def image(self, chunk: int, triple: Triple) -> Path:
        """Return where a candidate's image lies."""
        return self.stage.folder / f"{chunk:06}" / f"{triple.id}.{self.canvas.kind}"

    def make(self, plan: Plan, share: Share, device: str, progress: Progress) -> None:
        """Paint what is not there yet of this process's share."""
        left = shared(self.stage.absent(".jsonl"), share)
        if left:
            task = progress.task(f"images {self.model.name}"[:30], len(left))
            painter = load_painter(self.model, self.canvas.sampling, share.device or device)
            halving = Halving(self.stage.folder / FOLDER, progress.note)
            for chunk in left:
                self._fill(plan, chunk, painter, halving)
                task.advance()

    def _fill(self, plan: Plan, chunk: int, painter: Painter, halving: Halving) -> None:
        """Paint a chunk's gaps; batches are cut from the whole chunk, so that no kill and no total moves a pixel."""
        triples = plan.whole(chunk)
        wanted = {triple.id for triple in triples[: self.stage.size(chunk)]}
        mine = [triple for triple in triples if self.mine(triple)]
        for part in _parts(mine, self.canvas.batch):
            gaps = [t for t in part if t.id in wanted and not sound(self.image(chunk, t))]
            if gaps:
                made = halving.joined("images", part, painter.paint)
                painted = dict(zip((triple.id for triple in part), made, strict=True))
                for triple in gaps:
                    self._write(self.image(chunk, triple), painted[triple.id].numpy())
        noted = [triple for triple in mine if triple.id in wanted]
        rows = [{"id": triple.id, "sha256": file_sha256(self.image(chunk, triple))} for triple in noted]
        self.stage.write_lines(chunk, rows)

    def _write(self, path: Path, pixels: np.ndarray) -> None:
        image = PILImage.fromarray(pixels)
        if self.canvas.size is not None and image.size != (self.canvas.size, self.canvas.size):
            image = image.resize((self.canvas.size, self.canvas.size), PILImage.Resampling.LANCZOS)
        write_atomic(path, lambda part: image.save(part, **QUALITY[self.canvas.kind]), durable=False)


def sound(path: Path) -> bool:
    """Say whether an image is there and can be read to its end."""
    try:
        with PILImage.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def _parts(triples: Sequence[Triple], size: int) -> Iterator[Sequence[Triple]]:
    return (triples[start : start + size] for start in range(0, len(triples), size))
