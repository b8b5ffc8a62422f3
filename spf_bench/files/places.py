"""Whether results can be written where they are asked for: looked at before hours are spent on them."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.files.storage import PLACE, explain


def refuse_unwritable(
    files: Iterable[Path] = (), folders: Iterable[Path] = (), new_folders: Iterable[Path] = ()
) -> None:
    """Refuse places that cannot be written; nothing is left there.

    Args:
        files: Files to be written, whether or not they are there.
        folders: Folders to write into, made where they are not there.
        new_folders: Folders that appear in one step: what must take a file is the folder around them.

    Raises:
        UserError: Naming every one of them, and why.
    """
    asked = [*((path, False) for path in files), *((path, True) for path in folders)]
    asked += [(path.absolute().parent, True) for path in new_folders]
    found = dict(_faults(asked))
    if len(found) == 1:
        raise next(iter(found.values()))
    if found:
        problems = [Problem(str(path), error.why, "") for path, error in found.items()]
        raise UserError(f"{len(found)} places cannot be written", "", PLACE, problems)


def _faults(asked: Iterable[tuple[Path, bool]]) -> Iterator[tuple[Path, UserError]]:
    for path, folder in asked:
        try:
            _try(path, folder)
        except OSError as error:
            told = explain(error, path)
            if told is None:
                raise
            yield path, told


def _try(path: Path, folder: bool) -> None:
    """Write a byte where ``path`` is to be; raises OSError where that cannot be."""
    if not folder and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not folder and path.exists() and not path.is_file():  # a device would be replaced by an ordinary file
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
    place = path.absolute() if folder else path.absolute().parent
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"x")
