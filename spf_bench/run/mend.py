"""Before a run goes on: what of its files is damaged goes, and is made again like what is not there yet."""

from collections.abc import Iterator
from pathlib import Path

from spf_bench.files.intact import drop_damaged
from spf_bench.files.store import clear_parts
from spf_bench.progress import Progress

SHOWN = 3
CACHES = ("features", "features/*", "anchors-*", "methods")
"""Folders of the runs' cache that are looked through; originals and checkpoints have checksums of their own."""


def mend(runs: Path, own: Path, progress: Progress) -> None:
    """Remove the damaged files of a run and of the caches it reads, and what killed processes left of theirs.

    Args:
        runs: Folder of all runs and their cache.
        own: The run's.
        progress: Told what was damaged.
    """
    damaged = list[Path]()
    for folder in _folders(runs, own):
        clear_parts(folder)
        damaged += drop_damaged(path for path in folder.glob("*") if _is_ours(path))
    _drop_halves(own / "parts")
    if damaged:
        names = ", ".join(
            str(path.relative_to(runs) if path.is_relative_to(runs) else path) for path in damaged[:SHOWN]
        )
        more = f" and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else ""
        progress.note(f"damaged, and made again: {names}{more}")


def _folders(runs: Path, own: Path) -> Iterator[Path]:
    yield from (own, own / "images", own / "parts")
    for name in CACHES:
        yield from (path for path in (runs / "cache").glob(name) if path.is_dir())


def _is_ours(path: Path) -> bool:
    """Say whether a file is one that runs write: links lead to images of others, whole in ways of their own."""
    return not path.name.startswith(".") and not path.is_symlink()


def _drop_halves(parts: Path) -> None:
    """Remove the rows of batches whose vectors are lost: one is nothing without the other."""
    for rows in parts.glob("*.parquet"):
        if not rows.with_suffix(".safetensors").is_file():
            rows.unlink()
