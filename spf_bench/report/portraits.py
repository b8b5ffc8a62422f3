"""Portraits small enough to travel inside the page: as large and as good as its size limit allows."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from spf_bench.picture import rgb
from spf_bench.triple import Triple, image

TRIED = 24
"""Portraits encoded to foresee how large all will be."""
LADDER: tuple[tuple[int, int | None], ...] = (
    (512, None), (512, 95), (512, 90), (384, 88), (320, 85), (256, 85), (256, 75), (192, 75), (160, 70),
)  # fmt: skip
"""Longest edge in pixels and WebP quality (None: lossless), from the best to the least that is worth looking at."""


@dataclass(frozen=True)
class Gallery:
    """Portraits of some triples."""

    triples: tuple[Triple, ...]
    """Those shown: the first of the test set, as many as fit."""
    images: list[list[str | None]] = field(default_factory=list)
    """By triple, then by folder: WebP in base64, None where there is no file; empty where there are none at all."""
    edge: int = 0
    """Longest edge in pixels."""
    quality: int | None = None
    """WebP quality; None is lossless."""


def gallery(folders: Sequence[Path | None], triples: Sequence[Triple], budget: int) -> Gallery:
    """Return the portraits of as many triples as fit, encoded as well as all of them allow.

    Args:
        folders: Of the methods' portraits; None where a run no longer holds them.
        triples: In the order of the test set.
        budget: Characters that the images may take in the page.

    Without any portraits all triples are in it, and no images.

    Raises:
        UserError: A portrait is broken.
    """
    files = [[None if folder is None else image(folder, triple) for folder in folders] for triple in triples]
    present = [path for row in files for path in row if path is not None and path.is_file()]
    if not present:
        return Gallery(tuple(triples))
    edge, quality = _choose(present, budget)
    images: list[list[str | None]] = []
    for row in files:
        encoded = [_encode(path, edge, quality) for path in row]
        budget -= sum(len(text) + 4 for text in encoded if text)
        if budget < 0:
            break
        images.append(encoded)
    return Gallery(tuple(triples[: len(images)]), images, _edge(present[0], edge), quality)


def _choose(present: Sequence[Path], budget: int) -> tuple[int, int | None]:
    """Return the first rung of the ladder on which all portraits would fit, or its last."""
    some = present[:: max(1, len(present) // TRIED)]
    for edge, quality in LADDER:
        mean = sum(len(_encode(path, edge, quality) or "") for path in some) / len(some)
        if mean * 1.05 * len(present) <= budget:  # the sample may be a little simpler than the rest
            return edge, quality
    return LADDER[-1]


def _encode(path: Path | None, edge: int, quality: int | None) -> str | None:
    if path is None or not path.is_file():
        return None
    picture = rgb(path)
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    part = io.BytesIO()
    if quality is None:
        picture.save(part, "WEBP", lossless=True, quality=50)
    else:
        picture.save(part, "WEBP", quality=quality, method=4)
    return base64.b64encode(part.getvalue()).decode()


def _edge(path: Path, edge: int) -> int:
    return min(edge, max(rgb(path).size))
