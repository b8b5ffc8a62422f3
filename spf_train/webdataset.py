"""Samples in WebDataset tars: key.jpg, key.png or key.webp beside key.json with base, target and category."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

IMAGES = ("jpg", "jpeg", "png", "webp")
KINDS = (*IMAGES, "json")


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an uncompressed tar, read without looking at the rest of the tar.

    offset, size: of its contents, in bytes.
    """

    tar: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """The whole file."""
        with self.tar.open("rb") as file:
            return read_at(file, self.offset, self.size)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a tar holds under one key.

    image, json: its first image, and the bytes of its first JSON; None where there is none.
    more: names of the files that came under the key when it had one of their kind.
    """

    key: str
    image: Member | None
    json: bytes | None
    more: tuple[str, ...] = ()


def entries(tar: Path) -> Iterator[Entry]:
    """The entries of a tar by their first file's place; images are passed over, not read.

    Raises tarfile.TarError after the last whole one if the tar is damaged.
    """
    images: dict[str, Member] = {}
    texts: dict[str, bytes] = {}
    keys: dict[str, tuple[str, ...]] = {}
    damage: tarfile.TarError | None = None
    with tar.open("rb") as raw:
        try:
            for member in members(tar):
                key, extension = split_name(member.name)
                if extension not in KINDS:
                    continue
                more = keys.setdefault(key, ())
                if key in (texts if extension == "json" else images):
                    keys[key] = (*more, member.name)
                elif extension == "json":
                    texts[key] = read_at(raw, member.offset, member.size)
                else:
                    images[key] = member
        except tarfile.TarError as error:
            damage = error
    yield from (Entry(key, images.get(key), texts.get(key), more) for key, more in keys.items())
    if damage is not None:
        raise damage


def members(tar: Path) -> Iterator[Member]:
    """The files of a tar, from their headers alone. Raises tarfile.TarError at one that is longer than the tar."""
    whole = tar.stat().st_size
    try:
        with tarfile.open(tar, "r:") as file:
            for info in file:
                if info.isfile() and not 0 <= info.size <= whole - info.offset_data:
                    raise tarfile.ReadError(f"{info.name!a} is cut short")
                if info.isfile():
                    yield Member(tar, info.name, info.offset_data, info.size)
    except (ValueError, OverflowError, MemoryError) as error:  # of a header with a size that no file has
        raise tarfile.ReadError(f"a header is damaged ({type(error).__name__})") from error


def split_name(name: str) -> tuple[str, str]:
    """Key and extension, in lower case: as WebDataset does, at the first full stop of the last part of the path."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()


def read_at(file: IO[bytes], offset: int, size: int) -> bytes:
    """`size` bytes of a file from `offset`."""
    file.seek(offset)
    return file.read(size)
