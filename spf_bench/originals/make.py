"""Makes original portraits: each from its base text and noise, the same whoever makes it and after whatever kill."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import clear_parts, copy_file, file_sha256, write_png
from spf_bench.memory import Halving
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import HALVED, note_halved
from spf_bench.originals.manifest import Manifest, joint_sha256
from spf_bench.progress import Progress
from spf_bench.run.generate import BATCH, batches, noise
from spf_bench.share import ALONE, Share
from spf_bench.testset import TestSet
from spf_bench.triple import Triple, image

if TYPE_CHECKING:
    import numpy as np


def make_originals(
    backbone: Backbone,
    testset: TestSet,
    n: int,
    folder: Path,
    progress: Progress,
    batch: int = BATCH,
    share: Share = ALONE,
) -> str | None:
    """Make the originals of the first ``n`` triples in ``folder``, and return their hash.

    Batches are cut from the whole test set and always made whole, so that an original depends neither on the limit it
    was first made under, nor on what was there, nor on who else makes some.

    Returns:
        One SHA-256 over the images, in every process; None while other shards' are not there yet.

    Raises:
        UserError: A shipped original is not the one the test set was frozen with, or not as large as the model's.
    """
    triples = in_whole_batches(testset, n, batch)
    folder.mkdir(parents=True, exist_ok=True)
    if share.main:
        clear_parts(folder)
    manifest = Manifest(folder)
    sound = manifest.sound(triples)
    share.wait()  # all have looked before anybody changes what there is to see
    parts = share.of_shards(list(batches(triples, batch)))
    parts = share.of_processes([part for part in parts if any(triple.id not in sound for triple in part)])
    _make(backbone, testset, parts, sound, manifest, progress)
    share.wait()

    def close() -> str | None:
        note_halved(folder)
        whole = manifest.close([triple.id for triple in testset.triples], [triple.id for triple in triples])
        return joint_sha256(manifest.sums, testset.triples[:n]) if whole else None

    return share.once(close)


def in_whole_batches(testset: TestSet, n: int, batch: int) -> Sequence[Triple]:
    """Return the first ``n`` triples, and those that share a batch with them."""
    return testset.triples[: -(-n // batch) * batch]


def _make(
    backbone: Backbone,
    testset: TestSet,
    parts: Sequence[Sequence[Triple]],
    sound: dict[str, str],
    manifest: Manifest,
    progress: Progress,
) -> None:
    """Fill the gaps of some batches."""
    absent = [[triple for triple in part if triple.id not in sound] for part in parts]
    _refuse_unfit(backbone, testset, [triple for gaps in absent for triple in gaps])
    task, halving = progress.task("originals", sum(map(len, absent))), Halving(manifest.folder / HALVED, progress.note)
    for part, gaps in zip(parts, absent, strict=True):
        images = render(backbone, part, halving) if any(triple.original is None for triple in gaps) else {}
        for triple in gaps:
            path = image(manifest.folder, triple)
            if triple.original is None:
                write_png(path, images[triple.id])
            else:
                copy_file(testset.folder / triple.original, path)
        manifest.add({triple.id: file_sha256(image(manifest.folder, triple)) for triple in gaps})
        task.advance(len(gaps))


def render(backbone: Backbone, part: Sequence[Triple], halving: Halving) -> "dict[str, np.ndarray]":
    """Return the original portraits [H, W, 3] uint8 of one batch, by id."""
    images = halving.joined(
        "originals", part, lambda some: backbone.render(backbone.encode([t.base for t in some]), noise(backbone, some))
    )
    return {triple.id: picture.numpy() for triple, picture in zip(part, images, strict=True)}


def _refuse_unfit(backbone: Backbone, testset: TestSet, triples: Sequence[Triple]) -> None:
    shipped = [triple for triple in triples if triple.original is not None]
    problems = [problem for triple in shipped for problem in _unfit(backbone.image_size, testset.folder, triple)]
    if problems:
        raise UserError(f"{len(problems)} originals of {testset.name} cannot be used", problems=problems)


def _unfit(size: int, folder: Path, triple: Triple) -> Iterator[Problem]:
    """Say why a shipped original cannot stand beside the base model's images."""
    from PIL import Image

    assert triple.original is not None
    path = folder / triple.original
    if not path.is_file() or file_sha256(path) != triple.sha256:
        yield Problem(triple.original, "is not the original that was frozen", "restore the test set's files")
        return
    with Image.open(path) as picture:
        if picture.size != (size, size):
            why = f"is {picture.width} x {picture.height} pixels, the base model makes {size} x {size}"
            yield Problem(triple.original, why, "import images of that size")
