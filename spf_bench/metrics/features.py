"""What networks see in images: each distinct image passes each network once, whoever asks and how often.

Identical images share one feature, bit for bit, so that a metric of an image with itself has its exact best
value.
"""

import hashlib
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.files.locks import hold
from spf_bench.files.store import code_sha256, digest, write_atomic
from spf_bench.metrics.row_files import RowFiles

Image = NDArray[np.uint8]
Outputs = dict[str, Tensor]


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


@runtime_checkable
class Bulky(Protocol):
    """An encoder that is slow enough for its large outputs to be kept as well, a file for each original."""

    bulky: bool
    """Always true; encoders that are not bulky do not say so."""


class FeatureStore:
    """Features of original portraits on disk: one safetensors file per network, keyed by the image's pixels.

    A file is named by a hash of the weights and of the code around them, so that neither other weights nor another way
    of preparing images ever read it. Bulky encoders have a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, MutableMapping[str, Outputs]] = {}
        self._grown: set[Path] = set()

    def keeps(self, encoder: Encoder) -> bool:
        """Return whether the encoder's outputs are worth keeping; others are computed anew each time."""
        return encoder.compact or isinstance(encoder, Bulky)

    def of(self, encoder: Encoder) -> MutableMapping[str, Outputs]:
        """Return what is known of an encoder's view: image hash -> output name -> tensor."""
        path = self._path(encoder)
        if path not in self._known:
            one_file = _read(path) if path.is_file() else {}
            self._known[path] = RowFiles(path.with_suffix("")) if isinstance(encoder, Bulky) else one_file
        return self._known[path]

    def add(self, encoder: Encoder, images: "Features") -> None:
        """Keep what an encoder saw in ``images``, if it is worth it."""
        known = self.of(encoder)
        rows = [(i, name) for i, name in enumerate(images.hashes) if name not in known]
        if self.keeps(encoder) and rows:
            seen = {key: value.cpu() for key, value in images.of(encoder).items()}
            known.update({name: {key: value[i].clone() for key, value in seen.items()} for i, name in rows})
            self._grown.update(() if isinstance(encoder, Bulky) else (self._path(encoder),))

    def save(self) -> None:
        """Write what was added, each file in one step; of processes that save at once, none loses another's rows."""
        if self._grown:
            with hold(self.folder, each=True):
                for path in sorted(self._grown):
                    self._write(path)
            self._grown.clear()

    def _write(self, path: Path) -> None:
        beside = _read(path) if path.is_file() else {}  # what another process has added since
        known = {**beside, **self._known[path]}
        tensors = {f"{name}.{key}": value for name, outputs in known.items() for key, value in outputs.items()}
        write_atomic(path, lambda part: save_file(tensors, part))

    def _path(self, encoder: Encoder) -> Path:
        return self.folder / f"{encoder.name}-{digest([encoder.digest, _code(encoder)])}.safetensors"


class Images:
    """The distinct images of one batch, and what each encoder saw in them once it was asked.

    Args:
        images: RGB [H, W, 3] uint8, all of one size, by the hash of their pixels.
        store: Features of earlier batches and runs.
    """

    def __init__(self, images: dict[str, Image], store: FeatureStore | None = None) -> None:
        self.hashes = list(images)
        self._pixels = np.stack(list(images.values()))
        self._store = store
        self._seen: dict[str, Outputs] = {}

    def of(self, encoder: Encoder) -> Outputs:
        """Return the encoder's outputs, one row per distinct image."""
        if encoder.name not in self._seen:
            self._seen[encoder.name] = self._look(encoder)
        return self._seen[encoder.name]

    def _look(self, encoder: Encoder) -> Outputs:
        known = self._store.of(encoder) if self._store and self._store.keeps(encoder) else {}
        new = [i for i, name in enumerate(self.hashes) if name not in known]
        fresh = encoder.encode(self._pixels[new]) if new else {}
        if len(new) == len(self.hashes):
            return fresh
        seen = {self.hashes[i]: {key: value[row] for key, value in fresh.items()} for row, i in enumerate(new)}
        rows = [seen[name] if name in seen else known[name] for name in self.hashes]
        return {key: torch.stack([row[key].to(encoder.device) for row in rows]) for key in rows[0]}


class Features:
    """One side of a batch, a row per test case."""

    def __init__(self, images: Images, hashes: Sequence[str]) -> None:
        place = {name: i for i, name in enumerate(images.hashes)}
        self.hashes = list(hashes)
        self._images = images
        self._rows = torch.tensor([place[name] for name in hashes])

    def __len__(self) -> int:
        return len(self.hashes)

    def of(self, encoder: Encoder) -> Outputs:
        """Return the encoder's outputs, each with the test cases first."""
        return {key: value[self._rows.to(value.device)] for key, value in self._images.of(encoder).items()}


def pair(
    original: Sequence[Image], custom: Sequence[Image], store: FeatureStore | None = None
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
    distinct = dict(zip(hashes[0] + hashes[1], (*original, *custom), strict=True))
    images = Images(distinct, store)
    return Features(images, hashes[0]), Features(images, hashes[1])


def pixel_hash(image: Image) -> str:
    """Return the SHA-256 of an image's size and pixels as hex digits."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _code(encoder: Encoder) -> str:
    """Return the hash of the module that defines an encoder; of one that cannot be found again, nothing."""
    try:
        return code_sha256(type(encoder).__module__)
    except (ModuleNotFoundError, ValueError, SyntaxError, OSError):
        return ""


def _read(path: Path) -> dict[str, Outputs]:
    known: dict[str, Outputs] = {}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (safe_open is no mapping)
            image, key = name.split(".", 1)
            known.setdefault(image, {})[key] = file.get_tensor(name)
    return known
