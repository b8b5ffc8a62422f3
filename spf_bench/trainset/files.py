"""Files of a finished set: images under a second name, and tars of the same bytes every time."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from spf_bench.files.store import copy_file, write_atomic


def link(source: Path, to: Path) -> None:
    """Give a file a second name, or copy it where the file system cannot; one that is there already is replaced."""
    try:
        os.link(source, to)
    except FileExistsError:
        if not to.samefile(source):
            copy_file(source, to)
    except OSError:
        copy_file(source, to)


def write_tar(path: Path, samples: Iterable[tuple[Path, bytes]]) -> None:
    """Write images, each beside its texts as JSON, in one step."""

    def make(part: Path) -> None:
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            for image, texts in samples:
                _add(tar, image.name, image.read_bytes())
                _add(tar, f"{image.stem}.json", texts)

    write_atomic(path, make)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
