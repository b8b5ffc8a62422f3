"""Finds the two images of every triple by its id, and everything that keeps them from being scored."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import short
from spf_bench.files.pictures import lossy, png_depth
from spf_bench.intake.pictures import LARGEST
from spf_bench.scoring.one_batch import Pair
from spf_bench.testset import SHOWN
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MODES = ("RGB", "RGBA", "L", "LA", "P", "1")
"""Modes of PIL that become 8-bit RGB without loss, where all pixels are opaque."""
BITS, OPAQUE = 8, 255
FEW = 3  # images that no row asks for, named beside those that are missing


@dataclass(frozen=True)
class Matched:
    """The images of some triples."""

    pairs: tuple[Pair, ...]
    """One for each triple, in their order."""
    size: tuple[int, int]
    """Width and height of every image, in pixels."""
    extra: tuple[str, ...]
    """Images that belong to no triple, which nobody looks at: ``side/name``."""
    lossy: tuple[str, ...]
    """Images that went through JPEG, lossy WebP or a lossy TIFF: ``side/name``."""


class Found(NamedTuple):
    """One image file as its header tells it, or why it cannot be used."""

    size: tuple[int, int] = (0, 0)
    lossy: bool = False
    fault: str | None = None


def match(triples: Sequence[Triple], known: Iterable[str], originals: Path, customised: Path) -> Matched:
    """Pair the images of two folders by id, the stem of a file's name; pixels are decoded where some may be hidden.

    Args:
        triples: Those to score.
        known: Ids of all triples of the captions; an image of any other id is extra.
        originals: Folder of the original portraits.
        customised: Folder of the method's.

    Raises:
        UserError: Images are missing, twice there, unreadable, or of several sizes; all of them are named.
    """
    ids = set(known)
    sides = {"originals": _files(originals), "customised": _files(customised)}
    problems = [*_absent({"originals": originals, "customised": customised}, sides)]
    problems = problems or [p for side, files in sides.items() for p in _gaps(side, files, triples)]
    chosen = {
        f"{side}/{files[t.id][0].name}": files[t.id][0]
        for side, files in sides.items()
        for t in triples
        if t.id in files
    }
    looked = {name: look(path) for name, path in chosen.items()}
    problems += _unfit(looked)
    extra = [f"{side}/{f.name}" for side, files in sides.items() for k, v in files.items() if k not in ids for f in v]
    if problems:
        _refuse(problems, sorted(extra))
    first, second = sides["originals"], sides["customised"]
    pairs = tuple(Pair(triple, first[triple.id][0], second[triple.id][0]) for triple in triples)
    lossy = tuple(name for name, found in looked.items() if found.lossy)
    return Matched(pairs, next(iter(looked.values())).size, tuple(sorted(extra)), lossy)


def look(path: Path) -> Found:
    """Read an image's header, and check its file as far as that is possible without decoding it.

    An image with transparency is decoded: hidden colours would be scored as if they were seen.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            size, mode, lost, veiled = picture.size, picture.mode, lossy(picture, path), _may_hide(picture)
            if max(size) > LARGEST:
                return Found(size, fault=f"is {size[0]} x {size[1]} pixels, {LARGEST} is all")
            if mode not in MODES:
                return Found(size, fault=f"is no 8-bit RGB: its mode is {mode}")
            if picture.format == "PNG" and png_depth(path) > BITS:
                return Found(size, fault="is no 8-bit RGB: it has 16 bits per channel")
            picture.verify()
        if veiled and _hides(path):
            return Found(size, fault="has transparent pixels, whose hidden colours would be scored")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        return Found(fault="is no image" if isinstance(error, Image.UnidentifiedImageError) else "is broken")
    return Found(size, lost is not None)


def _files(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                found.setdefault(path.stem, []).append(path)
    return found


def _absent(folders: dict[str, Path], sides: dict[str, dict[str, list[Path]]]) -> Iterator[Problem]:
    for side, folder in folders.items():
        if not sides[side]:
            why = "has no images" if folder.is_dir() else "is no folder"
            yield Problem(f"--{side}", f"{folder} {why}", "name the folder whose files are ID.png")


def _gaps(side: str, files: dict[str, list[Path]], triples: Sequence[Triple]) -> Iterator[Problem]:
    for triple in triples:
        if triple.id not in files:
            yield Problem(f"{side}/{triple.id}", "is missing", "make it, or leave its row out of the captions")
        elif len(files[triple.id]) > 1:
            names = ", ".join(short(path.name) for path in files[triple.id])
            yield Problem(f"{side}/{triple.id}", f"is there twice: {names}", "keep one")


def _unfit(looked: dict[str, Found]) -> Iterator[Problem]:
    """Yield the images that cannot be used, and those that are not as large as most."""
    sizes = Counter(found.size for found in looked.values() if found.fault is None)
    usual = sizes.most_common(1)[0][0] if sizes else (0, 0)
    for name, found in looked.items():
        if found.fault is not None:
            yield Problem(name, found.fault, "save it as PNG, RGB, 8 bit")
        elif found.size != usual:
            why = f"is {found.size[0]} x {found.size[1]} pixels, most are {usual[0]} x {usual[1]}"
            yield Problem(name, why, "generate all in one size; a resize would be scored as a change")


def _refuse(problems: list[Problem], extra: Sequence[str]) -> None:
    """Raise an error with all problems, and the images no row asks for: a wrong name is both missing and extra."""
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append(Problem("...", f"and {len(problems) - SHOWN:,} more", ""))
    count = "a problem" if len(problems) == 1 else f"{len(problems):,} problems"
    more = f" and {len(extra) - FEW:,} more" if len(extra) > FEW else ""
    unasked = f"; no row asks for {', '.join(map(short, extra[:FEW]))}{more}" if extra else ""
    raise UserError(f"{count} with the images", f"nothing was scored{unasked}", problems=shown)


def _may_hide(picture: "Image") -> bool:
    """Whether an opened image has an alpha channel, or a colour that stands for transparent."""
    return "A" in picture.getbands() or "transparency" in picture.info


def _hides(path: Path) -> bool:
    """Whether a pixel of an image is not opaque."""
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGBA").getchannel("A").getextrema() != (OPAQUE, OPAQUE)
