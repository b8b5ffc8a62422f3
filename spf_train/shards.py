"""Tensors computed once and kept by key in a folder of safetensors shards, which are memory-mapped at use."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spf_train.durable import move_durably, named
from spf_train.errors import ConfigError, explained

KEY_BYTES = 16
Columns = dict[str, Tensor]


class Rows(Protocol):
    """N tensors of one shape, taken by index: a Tensor [N, ...], or rows that lie on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """The rows `index` [B], as a tensor [B, ...]."""
        ...


@dataclass(frozen=True)
class MappedRows:
    """Rows of memory-mapped shards, as fp32 whatever type they are kept in.

    parts: one column of every shard, each [n, ...].
    places: shard, and row in it, of each of the N rows.
    """

    parts: Sequence[Tensor]
    places: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        found = (self.places[i] for i in index.tolist())
        return torch.stack([self.parts[shard][row] for shard, row in found]).float()


def take(rows: Rows, index: Tensor) -> Rows:
    """The rows `index` [M] as rows of their own; those on disk stay there."""
    if isinstance(rows, MappedRows):
        return MappedRows(rows.parts, [rows.places[i] for i in index.tolist()])
    return rows[index]


@dataclass
class Shards:
    """The shards of one folder.

    A shard is written once, under a name made of its keys, and moved into place whole: several processes, and several
    runs, can fill one folder, and a killed one loses no more than the shard it was at.

    places: shard and row of each key.
    broken: keys that nothing could be computed for, and why; a later shard may have a row for one.
    """

    folder: Path
    columns: list[Columns] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Shards:
        """Reads the keys of all shards. Raises ConfigError naming a damaged file."""
        shards = cls(folder)
        for path in sorted(folder.glob("*.safetensors")):
            with explained(f"cannot read {path}", "delete this file: it is made again"):
                columns, metadata = read(path)
                keys, broken = bytes(columns.pop("keys").numpy()).hex(), json.loads(metadata["broken"])
            for row, start in enumerate(range(0, len(keys), 2 * KEY_BYTES)):
                shards.places[keys[start : start + 2 * KEY_BYTES]] = (len(shards.columns), row)
            shards.columns.append(columns)
            shards.broken |= broken
        return shards

    def rows(self, keys: Sequence[str]) -> dict[str, Rows]:
        """Every column, with a row for each key; no key may be missing."""
        places = [self.places[key] for key in keys]
        names = self.columns[places[0][0]] if places else ()
        # A shard of nothing but broken samples has no column.
        return {name: MappedRows([part.get(name, torch.empty(0)) for part in self.columns], places) for name in names}

    def write(self, keys: Sequence[str], columns: Columns, broken: dict[str, str]) -> int:
        """Writes one shard with a row for each key; returns its bytes."""
        raw = torch.frombuffer(bytearray.fromhex("".join(keys)) or bytearray(1), dtype=torch.uint8)
        columns = columns | {"keys": raw[: len(keys) * KEY_BYTES].clone()}
        name = key_of(*keys, *broken)
        write(self.folder / f"{name}.safetensors", columns, {"broken": json.dumps(broken)})
        return sum(column.nbytes for column in columns.values())

    def check_space(self, wanted: int) -> None:
        """Raises ConfigError if the disk has less than `wanted` bytes left."""
        free = shutil.disk_usage(self.folder).free
        if wanted > free:
            what = f"the cache needs {wanted / 1e9:.1f} GB more in {self.folder}"
            raise ConfigError(what, f"the disk has {free / 1e9:.1f} GB left", "choose another folder, or free space")


def read(path: Path) -> tuple[Columns, dict[str, str]]:
    """Memory-maps a safetensors file; returns its tensors and metadata. Raises ConfigError if it is damaged."""
    damaged = explained(f"cannot read {path}", "delete this file: it is made again")
    with damaged, safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no mapping)


def write(path: Path, columns: Columns, metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file and moves it into place whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")  # another run may be writing the same file
    try:
        with named(path):
            save_file({name: column.contiguous() for name, column in columns.items()}, new, metadata)
            move_durably(new, path)
    finally:
        new.unlink(missing_ok=True)


def key_of(*parts: str | bytes) -> str:
    """The key of what `parts` describe: the first 128 bits of their SHA-256, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))  # so that no two lists of parts read the same
        digest.update(raw)
    return digest.hexdigest()[: 2 * KEY_BYTES]


def chunks(keys: Iterable[str], size: int) -> list[list[str]]:
    """The distinct keys in their order, in lists of at most `size`."""
    distinct = list(dict.fromkeys(keys))
    return [distinct[start : start + size] for start in range(0, len(distinct), size)]
