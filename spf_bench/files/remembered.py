"""SHA-256 of many files, remembered by size and time of change: what did not change is not read again."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spf_bench.errors import UserError
from spf_bench.files.store import digest, file_sha256, write_text

THREADS = 8  # hashing leaves Python's lock, and disks answer several at once


def sha256_of(folder: Path, names: Sequence[str], memory: Path) -> list[str]:
    """Return the SHA-256 of files below a folder, in their order.

    Args:
        folder: Where they lie.
        names: Their paths below it.
        memory: Where a file of digests is kept for each folder; where none can be, it costs time alone.

    Raises:
        UserError: A file cannot be read.
    """
    place = memory / f"{digest(str(folder.resolve()))}.json"
    known = _read(place)
    stamps = {name: _stamp(folder / name) for name in names}
    new = [name for name, stamp in stamps.items() if known.get(name, [])[:2] != stamp]
    pool = ThreadPoolExecutor(THREADS)
    try:
        for name, sha256 in zip(new, pool.map(lambda name: _sha256(folder / name), new), strict=True):
            known[name] = [*stamps[name], sha256]
    finally:  # also where it is stopped: what was hashed so far is not hashed again
        pool.shutdown(cancel_futures=True)
        if new:
            _keep(place, known)
    return [str(known[name][-1]) for name in names]


def _stamp(path: Path) -> list[int]:
    with _explained(path):
        facts = os.stat(path)
    return [facts.st_size, facts.st_mtime_ns]


def _sha256(path: Path) -> str:
    with _explained(path):
        return file_sha256(path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read {path}", str(error), "mend it, or leave it out") from error


def _read(place: Path) -> dict[str, list[Any]]:
    try:
        return dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _keep(place: Path, known: dict[str, list[Any]]) -> None:
    with suppress(OSError, UserError):
        write_text(place, json.dumps(known))
