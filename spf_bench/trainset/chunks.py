"""The files of one stage, one for each chunk of candidates: there when whole, absent otherwise."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import filterfalse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.files.store import clear_parts, digest, write_atomic, write_json, write_text
from spf_bench.share import Share

CHUNK = 250
"""Candidates to a file: 25 of each gender and age, 2 of them in each stated skin tone."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """One stage's folder."""

    folder: Path
    """Where its files lie."""
    total: int
    """Candidates of the whole set."""
    chunk: int = CHUNK
    """Candidates of a full chunk."""

    @classmethod
    def of(cls, work: Path, name: str, facts: Mapping[str, Any], total: int, chunk: int = CHUNK) -> "Stage":
        """Return the stage that ``facts`` decide; nothing is written before ``begin``."""
        return cls(work / f"{name}-{digest(facts)}", total, chunk)

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Make the folder, say in it what decides its contents, and clear away what is damaged or a kill left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        clear_parts(self.folder)
        for damaged in filterfalse(_whole, self.folder.glob("[0-9]*.*")):
            for suffix in LOOKS:  # of a chunk's files one is nothing without the other
                damaged.with_suffix(suffix).unlink(missing_ok=True)
        write_json(self.folder / "facts.json", facts)

    @property
    def chunks(self) -> range:
        """The numbers of all chunks."""
        return range(-(-self.total // self.chunk))

    def size(self, chunk: int) -> int:
        """Return how many candidates a chunk has: all but the last are full."""
        return min(self.chunk, self.total - chunk * self.chunk)

    def path(self, chunk: int, suffix: str) -> Path:
        """Return the file of a chunk; one of a smaller set's last chunk has another name."""
        return self.folder / f"{chunk:06}-{self.size(chunk)}{suffix}"

    def absent(self, suffix: str) -> list[int]:
        """Return the chunks that have no file yet."""
        return [chunk for chunk in self.chunks if not self.path(chunk, suffix).is_file()]

    def write_lines(self, chunk: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a chunk's rows as JSON lines."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(self.path(chunk, ".jsonl"), text)

    def lines(self, chunk: int) -> Iterator[dict[str, Any]]:
        """Yield a chunk's rows."""
        with self.path(chunk, ".jsonl").open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def write_array(self, chunk: int, values: NDArray[Any]) -> None:
        """Write a chunk's values, one a candidate."""
        write_atomic(self.path(chunk, ".npy"), lambda part: np.save(part, values))

    def array(self, chunk: int) -> NDArray[Any]:
        """Return a chunk's values [N]."""
        values: NDArray[Any] = np.load(self.path(chunk, ".npy"))
        return values

    def known(self, chunk: int) -> Floats:
        """Return a chunk's scores [N], NaN where nothing is known."""
        if self.path(chunk, ".npy").is_file():
            return self.array(chunk)
        return np.full(self.size(chunk), np.nan, np.float32)


def _whole(path: Path) -> bool:
    """Say whether a chunk's file is there to its end."""
    look = LOOKS.get(path.suffix)
    try:
        return look is None or look(path)
    except (OSError, ValueError, EOFError):
        return False


def _lines_end(path: Path) -> bool:
    """Say whether every line is an object, the last one to its end; a list of nothing is made again at no cost."""
    rows = path.read_text(encoding="utf-8").split("\n")
    return rows.pop() == "" and bool(rows) and all(isinstance(json.loads(row), dict) for row in rows)


def _array_ends(path: Path) -> bool:
    return bool(np.load(path, mmap_mode="r").ndim)


LOOKS: dict[str, Callable[[Path], bool]] = {".jsonl": _lines_end, ".npy": _array_ends}


def shared(chunks: Iterable[int], share: Share) -> list[int]:
    """Return this process's part of the chunks that are left to do; all processes must have looked before one works."""
    left = [chunk for chunk in chunks if chunk % share.shards == share.shard]
    share.wait()
    return share.of_processes(left)
