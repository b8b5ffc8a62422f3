"""Where encodings are kept, in memory or in a cache on disk, and how processes share the work of making them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

from spf_train.memory import Fitting
from spf_train.shards import Columns, Rows, Shards, chunks, read, write
from spf_train.threads import ahead

Item = TypeVar("Item")
Progress = Callable[[str, int, int], None]
SHARD = 512  # rows; 64 MB of SD 1.5's latents at 512 px, 120 MB of its text embeddings, in fp32


class Unusable(Exception):
    """An item that cannot be encoded; the message says why."""


class Encoder(ABC, Generic[Item]):
    """Makes the encodings of N items, one kind of them.

    name: names the encodings to the user, and their folder.
    batch: items encoded at once.
    """

    name: str
    batch = 32

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def digest(self) -> str:
        """What the encodings depend on besides the items: weights and settings."""

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """A key of every item's content [N]; equal ones are encoded once."""

    @abstractmethod
    def load(self, number: int) -> Item:
        """An item, in a thread. Raises Unusable if it cannot be encoded."""

    def load_all(self, numbers: Sequence[int]) -> list[Item | Unusable]:
        """The items, and for those that cannot be encoded the reason."""
        return [self._try(number) for number in numbers]

    def _try(self, number: int) -> Item | Unusable:
        try:
            return self.load(number)
        except Unusable as error:
            return error

    @abstractmethod
    def compute(self, items: Sequence[Item]) -> Columns:
        """The encodings of a batch, each [B, ...], on the CPU."""


@dataclass(frozen=True)
class Encoded:
    """Encodings with a row for each usable item, in the items' order.

    broken: why items, by number, have none.
    """

    columns: dict[str, Rows]
    broken: dict[int, str]


def alone() -> None:
    """The barrier of a single process."""


@dataclass(frozen=True)
class Store:
    """Keeps encodings in `folder`, or in memory without one.

    rank, world: this process and how many share the folder; barrier: returns when all of them have called it.
    progress: called as progress(name, done, total) while this process encodes.
    """

    folder: Path | None = None
    rank: int = 0
    world: int = 1
    barrier: Callable[[], None] = alone
    progress: Progress | None = None

    def encode(self, encoder: Encoder[Item]) -> Encoded:
        """The encodings of all items; those the folder has are not made again, and what was broken is tried again."""
        if self.folder is None:
            return self._in_memory(encoder)
        keys, folder = encoder.keys(), self.folder / f"{encoder.name}-{encoder.digest}"
        self._fill(encoder, keys, folder)
        self.barrier()
        shards = Shards.open(folder)
        broken = {number: shards.broken[key] for number, key in enumerate(keys) if key not in shards.places}
        return Encoded(shards.rows([key for key in keys if key in shards.places]), broken)

    def once(self, name: str, key: str, build: Callable[[], Columns]) -> Columns:
        """What `build` makes, kept as one file; the first process makes it for all."""
        if self.folder is None:
            return build()
        path = self.folder / name / f"{key}.safetensors"
        if self.rank == 0 and not path.is_file():
            write(path, build())
        self.barrier()
        return read(path)[0]

    def _in_memory(self, encoder: Encoder[Item]) -> Encoded:
        columns, broken = next(self._encode(encoder, [range(len(encoder))]))
        return Encoded({name: column.float() for name, column in columns.items()}, broken)

    def _fill(self, encoder: Encoder[Item], keys: Sequence[str], folder: Path) -> None:
        """Writes this process's share of the missing shards.

        Which keys are encoded together follows from the list of all keys, not from what is missing, so that a killed
        run, and another number of processes, make the same encodings to the last bit.
        """
        shards, numbers = Shards.open(folder), dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        mine = chunks(keys, SHARD)[self.rank :: self.world]
        missing = [part for chunk in mine if (part := [key for key in chunk if key not in shards.places])]
        made = self._encode(encoder, [[numbers[key] for key in part] for part in missing])
        for done, (part, (columns, unusable)) in enumerate(zip(missing, made, strict=True), start=1):
            broken = {keys[number]: why for number, why in unusable.items()}
            size = shards.write([key for key in part if key not in broken], columns, broken)
            if done == 1:
                shards.check_space(size * (len(missing) - 1) * self.world)

    def _encode(
        self, encoder: Encoder[Item], parts: Sequence[Sequence[int]]
    ) -> Iterator[tuple[Columns, dict[int, str]]]:
        """The encodings of each list of items, joined, and why items have none."""
        batches = [part[at : at + encoder.batch] for part in parts for at in range(0, len(part), encoder.batch)]
        loaded, fitting = ahead(encoder.load_all, batches), Fitting(encoder.name)
        done, total = 0, sum(map(len, parts))
        for part in parts:
            made: list[Columns] = []
            broken: dict[int, str] = {}
            for at in range(0, len(part), encoder.batch):
                pairs = list(zip(part[at : at + encoder.batch], next(loaded), strict=True))
                broken |= {number: str(item) for number, item in pairs if isinstance(item, Unusable)}
                if usable := [item for _, item in pairs if not isinstance(item, Unusable)]:
                    made += fitting(usable, encoder.compute)
                done += len(pairs)
                if self.progress is not None:
                    self.progress(encoder.name, done, total)
            yield {name: torch.cat([columns[name] for columns in made]) for name in (made[0] if made else ())}, broken
