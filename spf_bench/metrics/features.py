"""What networks see in images: each distinct image passes each network once, whoever asks and how often.

Identical images share one feature, bit for bit, so that a metric of an image with itself has its exact best
value. An image that nobody asks a network about does not pass it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spf_bench.errors import UserError

if TYPE_CHECKING:
    from spf_bench.metrics.feature_store import FeatureStore

Image = NDArray[np.uint8]
Outputs = dict[str, Tensor]
MARK = ":"


class Encoder(Protocol):
    """A network that looks at images."""

    @property
    def name(self) -> str:
        """Short and unique among the encoders of a suite."""

    @property
    def digest(self) -> str:
        """SHA-256 of its weights: what a stored feature depends on besides the image."""

    @property
    def compact(self) -> bool:
        """Whether its outputs are vectors, small enough to keep of every original."""

    @property
    def device(self) -> torch.device:
        """Where it computes and its outputs lie."""

    def encode(self, images: Image) -> Outputs:
        """Look at RGB images [B, H, W, 3] uint8; each output has the batch first."""


class TextReader(Encoder, Protocol):
    """A network that can also say a few numbers of an image and a text, which are kept of every original."""

    def read(self, images: Image, texts: Sequence[str]) -> Outputs:
        """Look at RGB images [B, H, W, 3] uint8, each with its text; each output has the batch first."""


class Images:
    """The distinct images of one batch, and what each encoder saw in them once it was asked.

    Args:
        images: RGB [H, W, 3] uint8, all of one size, by the hash of their pixels.
        store: Features of earlier batches and runs.
    """

    def __init__(self, images: Mapping[str, Image], store: "FeatureStore | None" = None) -> None:
        self._pixels = dict(images)
        self._store = store
        self._seen: dict[str, dict[str, Outputs]] = {}

    def of(self, encoder: Encoder, hashes: Sequence[str]) -> Outputs:
        """Return the encoder's outputs, one row per hash."""
        return self._rows(encoder, hashes, lambda new: encoder.encode(self._stack(new)))

    def read(self, reader: TextReader, hashes: Sequence[str], texts: Sequence[str]) -> Outputs:
        """Return what the network says of images and texts, one row per hash and text."""
        asked = {reading(name, text): (name, text) for name, text in zip(hashes, texts, strict=True)}

        def look(new: Sequence[str]) -> Outputs:
            names, about = zip(*(asked[key] for key in new), strict=True)
            return reader.read(self._stack(names), about)

        return self._rows(reader, [reading(name, text) for name, text in zip(hashes, texts, strict=True)], look)

    def seen(self, encoder: Encoder, hashes: Iterable[str]) -> dict[str, Outputs]:
        """Return what the encoder was asked so far about some images: hash, or `reading` -> outputs."""
        wanted = set(hashes)
        return {key: row for key, row in self._seen.get(encoder.name, {}).items() if key.split(MARK)[0] in wanted}

    def _rows(self, encoder: Encoder, keys: Sequence[str], look: Callable[[Sequence[str]], Outputs]) -> Outputs:
        seen = self._seen.setdefault(encoder.name, {})
        if self._store is not None:
            seen |= self._store.known(encoder, [key for key in keys if key not in seen])
        new = list(dict.fromkeys(key for key in keys if key not in seen))
        fresh = look(new) if new else {}
        seen |= {key: {name: value[row] for name, value in fresh.items()} for row, key in enumerate(new)}
        rows = [seen[key] for key in keys]  # copied, so that equal images have equal maps in an equal layout
        return {name: torch.stack([row[name].to(encoder.device) for row in rows]) for name in rows[0]}

    def _stack(self, hashes: Iterable[str]) -> Image:
        return np.stack([self._pixels[name] for name in hashes])


class Features:
    """One side of a batch, a row per test case."""

    def __init__(self, images: Images, hashes: Sequence[str]) -> None:
        self.hashes = list(hashes)
        self._images = images

    def __len__(self) -> int:
        return len(self.hashes)

    def of(self, encoder: Encoder) -> Outputs:
        """Return the encoder's outputs, each with the test cases first."""
        return self._images.of(encoder, self.hashes)

    def read(self, reader: TextReader, texts: Sequence[str]) -> Outputs:
        """Return what a network says of each image with its text, each output with the test cases first."""
        return self._images.read(reader, self.hashes, texts)

    def seen(self, encoder: Encoder) -> dict[str, Outputs]:
        """Return what the encoder was asked so far about these images, as `Images.seen`."""
        return self._images.seen(encoder, self.hashes)


def reading(image: str, text: str) -> str:
    """Return the name under which a network's word on an image, given its hash, and a text is kept."""
    return f"{image}{MARK}{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def pair(
    original: Sequence[Image], custom: Sequence[Image], store: "FeatureStore | None" = None
) -> tuple[Features, Features]:
    """Look at both sides of a batch through the same, shared encodings.

    Raises:
        UserError: The images are not all of one size.
    """
    shapes = {image.shape for image in (*original, *custom)}
    if len(shapes) != 1:
        sizes = ", ".join(sorted(f"{shape[1]}x{shape[0]}" for shape in shapes))
        raise UserError("originals and customised images differ in size", sizes, "generate both in the same suite")
    hashes = [[pixel_hash(image) for image in side] for side in (original, custom)]
    images = Images(dict(zip(hashes[0] + hashes[1], (*original, *custom), strict=True)), store)
    return Features(images, hashes[0]), Features(images, hashes[1])


def pixel_hash(image: Image) -> str:
    """Return the SHA-256 of an image's size and pixels as hex digits."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
