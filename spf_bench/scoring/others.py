"""Images of others: which of them cannot be decoded, and links to those that were scored."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from spf_bench import record as records
from spf_bench import testset
from spf_bench.errors import Problem, UserError
from spf_bench.scoring.captions import Captions
from spf_bench.scoring.one_batch import Pair, Unreadable, read_rgb
from spf_bench.testset import SHOWN
from spf_bench.triple import Uncategorised


def keep_beside(folder: Path, captions: Captions, pairs: Sequence[Pair]) -> None:
    """Keep what a report shows besides scores: links to the images, and triples that no frozen test set has."""
    if captions.name not in testset.available() and not any(isinstance(t, Uncategorised) for t in captions.triples):
        testset.save(folder / records.CAPTIONS, captions.triples, f"# {captions.name}\n")
    images = folder / "images"
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    for pair in pairs:
        (images / f"{pair.triple.id}.png").symlink_to(pair.custom.resolve())


def all_unreadable(pairs: Sequence[Pair]) -> UserError:
    """Return an error that names every image of some pairs that cannot be decoded."""
    problems = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.original, pair.custom)):
        try:
            read_rgb(path)
        except Unreadable as error:
            problems.append(Problem(str(path), error.why, "make it again"))
    count = "an image" if len(problems) == 1 else f"{len(problems):,} images"
    return UserError(f"{count} cannot be decoded", "nothing was recorded", problems=problems[:SHOWN])
