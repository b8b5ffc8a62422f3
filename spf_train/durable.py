"""What was written is on the disk before its name is: a power cut leaves the old file or the new, never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What goes wrong in here says in its `filename` what was being written, as the system's errors do.

    torch and safetensors name no file when the disk is full.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "filename", None) is None:
            error.filename = str(path)  # type: ignore[attr-defined]
        raise


def move_durably(new: Path, path: Path) -> None:
    """Moves a file or folder into place, in the place of a file, once the disk has all of it; then its name, too."""
    for part in (new, *(new.rglob("*") if new.is_dir() else ())):
        sync(part)
    os.replace(new, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Returns when the disk has a file's bytes, or a folder's names."""
    if os.name == "nt":  # there, neither folders nor what was opened to be read can be synced
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks cannot sync folders
            raise
    finally:
        os.close(handle)
