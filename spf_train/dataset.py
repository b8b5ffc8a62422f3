"""Data sets on disk: a folder with metadata.jsonl, or WebDataset tars. Texts are read at once, images when needed."""

from __future__ import annotations

import functools
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, overload

from spf_train.errors import ConfigError
from spf_train.sample import BadSample, Sample
from spf_train.webdataset import IMAGES, Entry, Member, entries

METADATA = "metadata.jsonl"
# Words in the name of a folder, or of a tar, by which `datasets` reads it as another split than "train".
OTHER_SPLITS = {"test", "testing", "eval", "evaluation", "dev", "val", "valid", "validation"}


class Row(NamedTuple):
    """A sample as it is kept: an image's path or its member of a tar, the texts, and where they are written."""

    image: str | Member
    base: str
    target: str
    category: str
    file: str
    line: int | None


class Dataset(Sequence[Sample]):
    """The samples of a folder or of tars, in the order in which they are written down.

    path: what was opened.
    problems: what is written there and cannot be a sample: file, line, and what is wrong. A slice has those that
        stand among its samples.
    """

    def __init__(self, path: Path, rows: Sequence[Row], problems: Sequence[tuple[int, BadSample]]) -> None:
        """problems: each with the number of samples that stand before it."""
        self.path = path
        self.problems = tuple(problem for _, problem in problems)
        self._rows, self._problems = rows, problems

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        if isinstance(index, slice):
            return Dataset(self.path, self._rows[index], self._among(index))
        row = self._rows[index]
        image = Path(row.image) if isinstance(row.image, str) else row.image
        return Sample(image, *row[1:])

    def _among(self, index: slice) -> list[tuple[int, BadSample]]:
        """The problems of a slice; what follows the last sample of all belongs to it."""
        start, stop, _ = index.indices(len(self))
        end = stop if stop < len(self) else stop + 1
        return [(before - start, problem) for before, problem in self._problems if start <= before < end]


def open_dataset(path: Path | str) -> Dataset:
    """Reads the texts of a data set, and which images it has; no image is opened.

    path: a folder with metadata.jsonl (keys file_name, base, target, category), in it or in folders below it, as the
        `imagefolder` of Hugging Face's `datasets` has them; of its splits, all but "train" are left out. Or a folder
        of uncompressed WebDataset tars, those of other splits (test-0.tar) left out again, or one tar.
    Raises ConfigError if there is no sample at all; what is wrong with single samples is in `problems`.
    """
    path = Path(path)
    metadata = _files(path, f"**/{METADATA}")
    training = [file for file in metadata if not _other_split(file.relative_to(path).parent.as_posix())]
    tars = [path] if path.is_file() else _files(path, "*.tar")
    chosen = [tar for tar in tars if tar == path or not _other_split(tar.stem)]
    found = list(_from_metadata(path, training) if metadata else _from_tars(chosen))
    rows = [item for item in found if isinstance(item, Row)]
    places = accumulate((isinstance(item, Row) for item in found), initial=0)
    problems = [(before, item) for before, item in zip(places, found, strict=False) if isinstance(item, BadSample)]
    if rows:
        return Dataset(path, rows, problems)
    what = f"there is no sample in {path}"
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ConfigError(what, f"{problems[0][1]}{more}", "mend the data set")
    if metadata or tars:
        other, kind = (metadata[0], "folder") if metadata else (tars[0], "tar")
        raise ConfigError(what, f"{other} is of another split than train", f"pass that {kind} to train with it")
    why = f"it has no {METADATA} and no .tar" if path.exists() else "there is no such folder"
    raise ConfigError(what, why, f"pass a folder with {METADATA} (file_name, base, target, category), or tars")


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that match, sorted; as `datasets` does, without hidden folders."""
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    return [file for file in found if not any(p.startswith((".", "__")) for p in file.relative_to(folder).parts)]


def _other_split(name: str) -> bool:
    return not OTHER_SPLITS.isdisjoint(re.split(r"[-._ 0-9/]", name.lower()))


def _from_metadata(root: Path, files: Sequence[Path]) -> Iterator[Row | BadSample]:
    names = functools.cache(_names)  # one listing of each folder instead of a look at each image
    for path in files:
        folder, file = str(path.parent), str(path.relative_to(root))
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _from_line(line, folder, file, number, names)


def _from_line(line: bytes, folder: str, file: str, number: int, names: Any) -> Row | BadSample:
    texts, problems = _texts(line)
    name = texts.get("file_name")
    image = os.path.join(folder, name) if isinstance(name, str) and name else None
    if image is None or not isinstance(name, str):
        problems = problems if problems == [NO_JSON] else ["there is no file_name", *problems]
    elif os.path.isabs(name) or ".." in Path(name).parts:  # a data set from elsewhere shows no other files
        problems = [f"the image {name!a} lies outside the data set", *problems]
    elif os.path.basename(image) not in names(os.path.dirname(image)):
        problems = [f"there is no image {name!a}", *problems]
    if problems or image is None:
        return BadSample(file, number, "; ".join(problems))
    return Row(image, texts["base"], texts["target"], str(texts.get("category") or ""), file, number)


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except (OSError, ValueError):  # ValueError: no folder can have that name
        return frozenset()


def _from_tars(tars: Sequence[Path]) -> Iterator[Row | BadSample]:
    for tar in tars:
        try:
            for entry in entries(tar):
                yield _from_entry(entry, f"{tar.name}/{entry.key}")
        except (tarfile.TarError, OSError) as error:
            yield BadSample(tar.name, None, f"this tar cannot be read to its end: {error}")


def _from_entry(entry: Entry, file: str) -> Row | BadSample:
    if entry.more:
        return BadSample(
            file, None, f"this key has more than one image or .json: {', '.join(map(ascii, entry.more))} too"
        )
    if entry.json is None:
        return BadSample(file, None, "there is no .json beside the image")
    texts, problems = _texts(entry.json)
    if entry.image is None:
        problems.append(f"there is no image beside the .json ({', '.join(IMAGES)})")
    if problems or entry.image is None:
        return BadSample(f"{file}.json", None, "; ".join(problems))
    return Row(entry.image, texts["base"], texts["target"], str(texts.get("category") or ""), f"{file}.json", None)


NO_JSON = "this is not a JSON object"


def _texts(line: bytes) -> tuple[dict[str, Any], list[str]]:
    """A sample's JSON object, and what is wrong with its texts."""
    try:
        texts = json.loads(line)
    except (ValueError, RecursionError):
        texts = None
    if not isinstance(texts, dict):
        return {}, [NO_JSON]
    problems = [(name, _problem(texts.get(name))) for name in ("base", "target")]
    return texts, [problem.format(name) for name, problem in problems if problem is not None]


def _problem(text: object) -> str | None:
    """What is wrong with a text, with a place for what it is called; None where nothing is."""
    if not isinstance(text, str) or not text.strip():
        return "there is no {} text"
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can have half of a surrogate pair, as \ud800
        return "the {} text is not valid Unicode"
    return None
