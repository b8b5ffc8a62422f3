"""A user's original portraits: what each must be, looked at before anything is written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spf_bench.files.outside import inside, short
from spf_bench.intake.triples import Case

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("PNG", "JPEG", "WEBP")
LARGEST = 4096  # pixels a side: what a base model makes is an eighth of it


def faults(folder: Path, found: Sequence[Case]) -> Iterator[tuple[int, str]]:
    """Yield line and fault of every image that cannot be an original: absent, broken, not square, not of one size."""
    sizes: dict[int, int] = {}
    known: dict[str, int | str] = {}
    for case in found:
        if case.image is None:
            continue
        if case.image not in known:
            known[case.image] = _side(folder, case.image)
        side = known[case.image]
        if isinstance(side, str):
            yield case.line, side
        elif side != next(iter(sizes), side):
            yield case.line, f"image {short(case.image)} is {side} pixels wide, that of line {_first(sizes)}"
        else:
            sizes.setdefault(side, case.line)


def pixels(folder: Path, name: str) -> "np.ndarray":
    """Return an image that ``faults`` has let pass [H, W, 3] uint8, upright."""
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(folder / name) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def _first(sizes: dict[int, int]) -> str:
    side, line = next(iter(sizes.items()))
    return f"{line} is {side}"


def _side(folder: Path, name: str) -> int | str:
    """Return how many pixels wide and high an image is, or what is wrong with it."""
    from PIL import Image

    path = inside(folder, name)
    if path is None:
        return f"image {short(name)} is no file in {folder}"
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            if max(width, height) > LARGEST:
                return f"image {short(name)} is {width} x {height} pixels, {LARGEST} is all"
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = "is none of " + ", ".join(FORMATS) if isinstance(error, Image.UnidentifiedImageError) else "is broken"
        return f"image {short(name)} {why}"
    return width if width == height else f"image {short(name)} is {width} x {height} pixels, not square"
