"""Outputs that are too large for one file of all images: a file per image, its bytes deflated."""

import json
import zlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spf_bench.files.store import write_atomic

LEVEL = 1  # masks shrink some thirtyfold at the fastest level
Row = dict[str, Tensor]


class RowFiles(MutableMapping[str, Row]):
    """A folder as a mapping from the hash of an image to what an encoder saw in it.

    A row is written when it is set, in one step, so that an interrupted run keeps what it has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, name: object) -> bool:
        return self._path(str(name)).is_file()

    def __getitem__(self, name: str) -> Row:
        path = self._path(name)
        if not path.is_file():
            raise KeyError(name)
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["rows"])
            return {key: _inflate(file.get_tensor(key), *fact) for key, fact in facts.items()}

    def __setitem__(self, name: str, row: Row) -> None:
        facts = {key: (str(value.dtype).removeprefix("torch."), list(value.shape)) for key, value in row.items()}
        packed = {key: _deflate(value) for key, value in row.items()}
        metadata = {"rows": json.dumps(facts)}
        write_atomic(self._path(name), lambda part: save_file(packed, part, metadata))

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.safetensors")) if not path.name.startswith("."))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def _deflate(value: Tensor) -> Tensor:
    raw = value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return torch.frombuffer(bytearray(zlib.compress(raw, LEVEL)), dtype=torch.uint8)


def _inflate(packed: Tensor, dtype: str, shape: list[int]) -> Tensor:
    raw = bytearray(zlib.decompress(packed.numpy().tobytes()))
    return torch.frombuffer(raw, dtype=getattr(torch, dtype)).reshape(shape)
