"""Features of original portraits on disk, for the next method that is compared with the same originals."""

from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from safetensors import safe_open
from safetensors.torch import save_file

from spf_bench.files.locks import hold
from spf_bench.files.store import code_sha256, digest, write_atomic
from spf_bench.metrics.features import MARK, Encoder, Features, Outputs
from spf_bench.metrics.row_files import RowFiles


@runtime_checkable
class Bulky(Protocol):
    """An encoder that can say its large outputs are worth keeping as well, a file for each original."""

    @property
    def bulky(self) -> bool:
        """Whether reading them is quicker than computing them, and they fit where images lie."""


@runtime_checkable
class Coded(Protocol):
    """An encoder whose outputs rest on more code of this package than the module of its class."""

    @property
    def code(self) -> tuple[str, ...]:
        """Names of the modules."""


class FeatureStore:
    """Features of originals, keyed by the image's pixels: a safetensors file per network, of bulky ones a folder.

    A file is named by a hash of the weights and of the code around them, so that neither other weights nor another way
    of preparing images ever read it. What a network said of an image and a text is kept under both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, MutableMapping[str, Outputs]] = {}
        self._grown: set[Path] = set()

    def of(self, encoder: Encoder) -> MutableMapping[str, Outputs]:
        """Return what is known of an encoder's view: hash of an image, or `reading` -> output name -> tensor."""
        path = self._path(encoder)
        if path not in self._known:
            one_file = _read(path) if path.is_file() else {}
            self._known[path] = RowFiles(path.with_suffix("")) if _bulky(encoder) else one_file
        return self._known[path]

    def known(self, encoder: Encoder, keys: Iterable[str]) -> dict[str, Outputs]:
        """Return those of some rows that are known."""
        wanted = [key for key in keys if _keeps(encoder, key)]
        known = self.of(encoder) if wanted else {}
        return {key: known[key] for key in wanted if key in known}

    def add(self, encoder: Encoder, images: Features) -> None:
        """Keep what an encoder was asked about ``images``, as far as it is worth it."""
        seen = {key: row for key, row in images.seen(encoder).items() if _keeps(encoder, key)}
        known = self.of(encoder) if seen else {}
        new = {key: row for key, row in seen.items() if key not in known}
        known.update({key: {name: value.cpu().clone() for name, value in row.items()} for key, row in new.items()})
        self._grown.update([self._path(encoder)] if new and not _bulky(encoder) else ())

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
        tensors = {f"{key}.{name}": value for key, outputs in known.items() for name, value in outputs.items()}
        write_atomic(path, lambda part: save_file(tensors, part))

    def _path(self, encoder: Encoder) -> Path:
        return self.folder / f"{encoder.name}-{digest([encoder.digest, _code(encoder)])}.safetensors"


def _keeps(encoder: Encoder, key: str) -> bool:
    """Whether a row is worth keeping: vectors, a few numbers on image and text, and what is dearer made than read."""
    return encoder.compact or MARK in key or _bulky(encoder)


def _bulky(encoder: Encoder) -> bool:
    return isinstance(encoder, Bulky) and encoder.bulky


def _code(encoder: Encoder) -> str:
    """Return the hash of the code around an encoder; of one that cannot be found again, nothing."""
    try:
        return code_sha256(*(encoder.code if isinstance(encoder, Coded) else (type(encoder).__module__,)))
    except (ModuleNotFoundError, ValueError, SyntaxError, OSError):
        return ""


def _read(path: Path) -> dict[str, Outputs]:
    known: dict[str, Outputs] = {}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (safe_open is no mapping)
            image, key = name.split(".", 1)
            known.setdefault(image, {})[key] = file.get_tensor(name)
    return known
