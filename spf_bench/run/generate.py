"""Paired sampling: customised portraits from complete texts, on the noise that their originals were made from.

Batches are cut from the whole list of triples, never from what is missing: a run that was interrupted and
repeated samples in the same company, and so makes the same pixels, as one that was not.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.files.store import copy_file, digest, file_sha256, write_png
from spf_bench.method import Method
from spf_bench.models.backbone import Backbone
from spf_bench.progress import Progress
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
) -> None:
    """Make the method's portrait of every triple in ``folder``, leaving those alone that are there."""
    if all(image(folder, triple).is_file() for triple in triples):
        return
    if method.reference:
        for triple in triples:
            copy_file(original(originals, triple), image(folder, triple))
        return
    method.load(backbone, checkpoint)
    try:
        _fill(
            method.title, triples, folder,
            lambda part: method.sample(backbone, part, noise(backbone, part)), progress, batch,
        )  # fmt: skip
    finally:
        method.unload(backbone)


def images_sha256(folder: Path, triples: Sequence[Triple]) -> str:
    """Return one SHA-256 over the images of ``triples`` in ``folder``, in any order of theirs."""
    return digest(sorted((triple.id, file_sha256(image(folder, triple))) for triple in triples), length=64)


def _fill(
    title: str,
    triples: Sequence[Triple],
    folder: Path,
    sample: Callable[[Sequence[Triple]], Tensor],
    progress: Progress,
    batch: int,
) -> None:
    missing = {triple.id for triple in triples if not image(folder, triple).is_file()}
    task = progress.task(title, len(triples), len(triples) - len(missing))
    for part in batches(triples, batch):
        absent = [triple for triple in part if triple.id in missing]
        if not absent:
            continue
        images = dict(zip((triple.id for triple in part), _checked(sample(part), len(part)), strict=True))
        for triple in absent:
            write_png(image(folder, triple), images[triple.id].numpy())
        task.advance(len(absent))


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
