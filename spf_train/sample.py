"""Portraits with their two texts, as they are given to the trainer."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from spf_train.store import Unusable

Pixels = NDArray[np.uint8]
ELONGATED = 8  # ratio of the edges from which only the middle of an image is resized


class ImageFile(Protocol):
    """An encoded image that is read when it is needed: a Path, or a member of a tar."""

    def read_bytes(self) -> bytes:
        """The whole file."""
        ...


@dataclass(frozen=True)
class BadSample:
    """Why a sample cannot be trained with.

    file: where its texts are written, relative to the data set; line: the line there, from 1.
    what: what is wrong, in words.
    """

    file: str
    line: int | None
    what: str

    @property
    def place(self) -> str:
        """File and line in one word."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Sample:
    """A customisation portrait: an image that shows the target attribute, and its two texts.

    image: uint8 [H, W, 3], or an image file: its path, or a member of a tar.
    base: base text y_base, phrases separated by commas.
    target: target text y_tar.
    category: what kind of attribute the target is; the trainer itself has no use for it.
    file, line: where the sample is written down, to be named where something is wrong with it.
    """

    image: Pixels | ImageFile
    base: str
    target: str
    category: str = ""
    file: str = ""
    line: int | None = None

    def pixels(self, size: int) -> Pixels:
        """The image as uint8 [size, size, 3]; see `crop`."""
        given = self.image
        if isinstance(given, np.ndarray):
            return given if given.shape == (size, size, 3) else crop(Image.fromarray(given), size)
        with Image.open(io.BytesIO(given.read_bytes())) as image:
            return crop(ImageOps.exif_transpose(image), size)

    def problem(self, what: str, number: int) -> BadSample:
        """Something wrong with this sample, which is number `number` (from 0) of those given."""
        return BadSample(self.file or f"sample {number}", self.line, what)


def crop(image: Image.Image, size: int) -> Pixels:
    """An image as uint8 [size, size, 3]: shortest edge resized, centre cropped.

    Greys of 16 bits are scaled to 8. Raises Unusable for pixels of 32 bits, which have no known white.
    """
    if image.mode in {"I", "F"}:
        raise Unusable("the image has 32 bits a pixel: save it with 8 or 16")
    image = eight_bits(middle(image)).convert("RGB")
    scale = size / min(image.size)
    width, height = (max(size, round(edge * scale)) for edge in image.size)
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def middle(image: Image.Image) -> Image.Image:
    """The middle of an image whose edges differ more than `ELONGATED` times; any other as it is.

    Resized as a whole, a line of 2 x 2000 pixels would become 512 x 512000.
    """
    most = ELONGATED * min(image.size)
    if max(image.size) <= most:
        return image
    width, height = (min(edge, most) for edge in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def eight_bits(image: Image.Image) -> Image.Image:
    """An image with its greys of 16 bits scaled to 8, white to white; any other as it is."""
    if not image.mode.startswith("I;16"):  # with the order of the bytes behind it
        return image
    return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
