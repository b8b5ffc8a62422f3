"""What a scoring has measured so far, so that no kill costs more than a minute of it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from spf_bench.files.store import digest, file_sha256, write_atomic, write_parquet
from spf_bench.scoring.one_batch import Measured, Pair


class Parts:
    """Batches that were measured, a pair of files each, in a folder that goes once all of them are in the record.

    A batch is found again only by the same texts, the same image files and the same way of scoring.

    Args:
        folder: Where they are kept.
        scoring: Hash of everything that scores depend on besides texts and images.
    """

    def __init__(self, folder: Path, scoring: str) -> None:
        self.folder, self.scoring = folder, scoring
        self._waiting: dict[str, Measured] = {}

    def known(self, pairs: Sequence[Pair]) -> Measured | None:
        """Return what was measured of a batch; None where it was not."""
        from safetensors.torch import load_file

        name = self._name(pairs)
        rows = self.folder / f"{name}.parquet"
        return (pd.read_parquet(rows), load_file(self._vectors(name))) if rows.is_file() else None

    def add(self, pairs: Sequence[Pair], measured: Measured) -> None:
        """Keep what was measured of a batch; on disk from the next ``save`` on."""
        self._waiting[self._name(pairs)] = measured

    def save(self) -> None:
        """Write what was added, the rows last: a batch without them is none."""
        from safetensors.torch import save_file

        for name, (rows, vectors) in self._waiting.items():
            write_atomic(self._vectors(name), lambda part, vectors=vectors: save_file(vectors, part))  # type: ignore[misc]
            write_parquet(self.folder / f"{name}.parquet", rows)
        self._waiting.clear()

    def clear(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _vectors(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _name(self, pairs: Sequence[Pair]) -> str:
        facts = [
            (
                p.triple.id,
                p.triple.prompt,
                p.triple.target,
                p.triple.part,
                file_sha256(p.original),
                file_sha256(p.custom),
            )
            for p in pairs
        ]
        return digest([self.scoring, facts], length=24)
