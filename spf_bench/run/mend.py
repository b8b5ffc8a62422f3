"""Before a run goes on: what of its files is damaged goes, and is made again like what is not there yet."""

from collections.abc import Iterator
from pathlib import Path

from spf_bench.files.intact import drop_damaged
from spf_bench.files.store import clear_parts
from spf_bench.progress import Progress
from spf_bench.run.plan import Run

SHOWN = 3
CACHES = ("features", "features/*", "anchors-*", "methods")
"""Folders of the runs' cache that are looked through; originals and checkpoints have checksums of their own."""


def mend(run: Run, progress: Progress) -> None:
    """Remove the damaged files of a run and of the caches it reads, and what killed processes left of theirs."""
    damaged = list[Path]()
    for folder in _folders(run):
        clear_parts(folder)
        damaged += drop_damaged(path for path in folder.glob("*") if not path.name.startswith("."))
    _drop_halves(run.folder / "parts")
    if damaged:
        names = ", ".join(str(path.relative_to(run.runs)) for path in damaged[:SHOWN])
        more = f" and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else ""
        progress.note(f"damaged, and made again: {names}{more}")


def _folders(run: Run) -> Iterator[Path]:
    yield from (run.folder, run.images, run.folder / "parts")
    for name in CACHES:
        yield from (path for path in run.cache.glob(name) if path.is_dir())


def _drop_halves(parts: Path) -> None:
    """Remove the rows of batches whose vectors are lost: one is nothing without the other."""
    for rows in parts.glob("*.parquet"):
        if not rows.with_suffix(".safetensors").is_file():
            rows.unlink()
