"""Keys of images by their content, remembered so that an unchanged file is hashed once."""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spf_train.sample import ImageFile, Pixels, Sample
from spf_train.shards import key_of
from spf_train.store import Store
from spf_train.threads import ahead
from spf_train.webdataset import Member

PART = 256  # files that a thread looks at in one go


def content_keys(samples: Sequence[Sample], store: Store) -> list[str]:
    """A key of every image's bytes [N]; "" for a file that cannot be read.

    Files count as unchanged while path, size and time of change are the same; what was hashed is remembered in the
    store's folder. Its processes share the work.
    """
    stamps = _stamps(samples)
    files = {stamp: number for number, stamp in enumerate(stamps) if stamp}
    known = _recall(store.folder)
    mine = list(files)[store.rank :: store.world]
    _remember(store, _hash(samples, {stamp: files[stamp] for stamp in mine if stamp not in known}))
    store.barrier()
    if not files.keys() <= known.keys():
        known |= _recall(store.folder)
        # Left is what cannot be read; and, where nothing can be remembered, everything.
        known |= _hash(samples, {stamp: number for stamp, number in files.items() if stamp not in known})
    return [known[stamp] if stamp else _key(sample) for stamp, sample in zip(stamps, samples, strict=True)]


def _stamps(samples: Sequence[Sample]) -> list[str]:
    """What names an unchanged file, for every sample; "" for pixels in memory."""
    tar_stat = functools.cache(_stat)

    def stamps(start: int) -> list[str]:
        return [_stamp(samples[i].image, tar_stat) for i in range(start, min(start + PART, len(samples)))]

    return [stamp for part in ahead(stamps, range(0, len(samples), PART)) for stamp in part]


def _stamp(image: Pixels | ImageFile, tar_stat: Callable[[Path], str]) -> str:
    if isinstance(image, Member):
        return f"{tar_stat(image.tar)} {image.offset} {image.size}"
    return _stat(image) if isinstance(image, Path) else ""


def _stat(path: Path) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return f"{path} is not there"
    return f"{os.path.abspath(path)} {found.st_size} {found.st_mtime_ns}"


def _hash(samples: Sequence[Sample], files: dict[str, int]) -> dict[str, str]:
    """The key of each file, given as its stamp and a sample that has it."""
    return dict(zip(files, ahead(lambda number: _key(samples[number]), files.values()), strict=True))


def _key(sample: Sample) -> str:
    image = sample.image
    if isinstance(image, np.ndarray):
        return key_of(str(image.shape), image.tobytes())
    try:
        return key_of(image.read_bytes())
    except OSError:
        return ""


def _recall(folder: Path | None) -> dict[str, str]:
    """The keys that any process has remembered, by stamp."""
    files = sorted((folder / "files").glob("*.jsonl")) if folder else []
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    return dict(json.loads(line) for line in lines if line.endswith("\n"))  # a killed process may leave half a line


def _remember(store: Store, keys: dict[str, str]) -> None:
    lines = "".join(json.dumps(pair) + "\n" for pair in keys.items() if pair[1])
    if store.folder is None or not lines:
        return
    folder = store.folder / "files"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{uuid.uuid4().hex}.jsonl").write_text(lines)
