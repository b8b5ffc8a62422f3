"""Paired sampling: customised portraits from complete texts, on the noise that their originals were made from.

Batches are cut from the whole list of triples, never from what is missing: a run that was interrupted and
repeated samples in the same company, and so makes the same pixels, as one that was not. Processes that were launched
together take turns in the batches.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.files.store import copy_file, digest, file_sha256, write_png
from spf_bench.memory import Halving
from spf_bench.method import Method
from spf_bench.models.backbone import Backbone
from spf_bench.progress import Progress, Task
from spf_bench.share import ALONE, Share
from spf_bench.triple import Triple, image, original

BATCH = 32


def generate(
    method: Method,
    checkpoint: Path | None,
    backbone: Backbone,
    triples: Sequence[Triple],
    originals: Path,
    folder: Path,
    progress: Progress,
    batch: int = BATCH,
    share: Share = ALONE,
    halving: Halving | None = None,
) -> None:
    """Make the method's portrait of every triple in ``folder``, leaving those alone that are there.

    Returns once every process of ``share`` has made its part.
    """
    missing = {triple.id for triple in triples if not image(folder, triple).is_file()}
    share.wait()  # all have looked before anybody changes what there is to see
    parts = share.of_processes([part for part in batches(triples, batch) if any(t.id in missing for t in part)])
    if parts and method.reference:
        for triple in (triple for part in parts for triple in part if triple.id in missing):
            copy_file(original(originals, triple), image(folder, triple))
    elif parts:
        own = [triple.id for part in parts for triple in part if triple.id in missing]
        task = progress.task(method.title, len(triples) - len(missing) + len(own), len(triples) - len(missing))
        method.load(backbone, checkpoint)
        try:
            _fill(method, backbone, parts, missing, folder, task, halving or Halving())
        finally:
            method.unload(backbone)
    share.wait()


def images_sha256(folder: Path, triples: Sequence[Triple]) -> str:
    """Return one SHA-256 over the images of ``triples`` in ``folder``, in any order of theirs."""
    return digest(sorted((triple.id, file_sha256(image(folder, triple))) for triple in triples), length=64)


def _fill(
    method: Method,
    backbone: Backbone,
    parts: Sequence[Sequence[Triple]],
    missing: set[str],
    folder: Path,
    task: Task,
    halving: Halving,
) -> None:
    """Sample some batches, and keep what is missing of them."""

    def sample(part: Sequence[Triple]) -> Tensor:
        return _checked(method.sample(backbone, part, noise(backbone, part)), len(part))

    for part in parts:
        images = dict(zip((triple.id for triple in part), halving.joined("generate", part, sample), strict=True))
        gaps = [triple for triple in part if triple.id in missing]
        for triple in gaps:
            write_png(image(folder, triple), images[triple.id].numpy())
        task.advance(len(gaps))


def batches(triples: Sequence[Triple], size: int) -> Iterator[Sequence[Triple]]:
    """Cut triples into batches of ``size``, the last one of what is left."""
    return (triples[start : start + size] for start in range(0, len(triples), size))


def noise(backbone: Backbone, triples: Sequence[Triple]) -> Tensor:
    """Return the initial noise [B, C, h, w] of a batch."""
    return torch.stack([backbone.noise_for(triple) for triple in triples])


def _checked(images: Tensor, n: int) -> Tensor:
    if images.dtype != torch.uint8 or images.ndim != 4 or len(images) != n or images.shape[-1] != 3:
        found = f"it returned {images.dtype} {list(images.shape)}"
        raise UserError("the method did not return its images", found, f"return uint8 [{n}, H, W, 3]")
    return images
