"""The SHA-256 of every image of a folder, kept so that no kill loses or invents one.

Each process notes what it has made in a journal of its own, after the image is in place: an image without a note is
made again, to the same bytes. The journals become ``manifest.jsonl`` once every image asked for is there.
"""

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spf_bench.files.store import digest, file_sha256, write_text
from spf_bench.triple import Triple, image

MANIFEST = "manifest.jsonl"
SHA256 = re.compile("[0-9a-f]{64}")


class Manifest:
    """What is known of the images of one folder.

    Args:
        folder: Where the images lie; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sums = _read(known_in(folder))
        self._made: dict[str, str] = {}
        self._journal = folder / f".made-{os.getpid()}-{secrets.token_hex(4)}.jsonl"

    def sound(self, triples: Sequence[Triple]) -> dict[str, str]:
        """Return the noted sums of those images that lie there just as they were made."""
        return {t.id: self.sums[t.id] for t in triples if t.id in self.sums and self.state(t) is None}

    def state(self, triple: Triple) -> str | None:
        """Return what is wrong with an image: not noted, missing, truncated or altered; None where nothing is."""
        path = image(self.folder, triple)
        if not path.is_file():
            return "missing"
        if triple.id not in self.sums:
            return "not in the manifest"
        if file_sha256(path) == self.sums[triple.id]:
            return None
        return "altered" if _decodes(path) else "truncated"

    def add(self, sums: Mapping[str, str]) -> None:
        """Note images that are in place, for all processes and for good."""
        self.sums.update(sums)
        self._made.update(sums)
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(_text(sums))
            file.flush()
            os.fsync(file.fileno())

    def close(self, order: Sequence[str], wanted: Sequence[str]) -> bool:
        """Write the manifest if every wanted image is noted, by whichever process, and say whether it was.

        Args:
            order: All ids of the test set.
            wanted: Those that were asked for.
        """
        known = known_in(self.folder)
        self.sums = {**_read(known), **self._made}
        if not all(key in self.sums for key in wanted):
            return False
        text = _text({key: self.sums[key] for key in order if key in self.sums})
        path = self.folder / MANIFEST
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
        for journal in known:
            if journal.name != MANIFEST:
                journal.unlink(missing_ok=True)
        return True


def joint_sha256(sums: Mapping[str, str], triples: Sequence[Triple]) -> str | None:
    """Return one SHA-256 over the originals of ``triples``, in any order; None where one has no sum."""
    found = sorted((triple.id, sums.get(triple.id, "")) for triple in triples)
    return digest(found, length=64) if all(sha256 for _, sha256 in found) else None


def known_in(folder: Path) -> list[Path]:
    """Return the files that say what is known of a folder's images, the manifest first, then journals by age."""
    manifest = [folder / MANIFEST] if (folder / MANIFEST).is_file() else []
    journals = {path: path.stat().st_mtime_ns for path in folder.glob(".made-*.jsonl")}
    return [*manifest, *sorted(journals, key=lambda path: (journals[path], path.name))]


def _read(paths: Sequence[Path]) -> dict[str, str]:
    """Return the sums by id; what was noted later counts."""
    return {key: value for path in paths for key, value in _lines(path)}


def _text(sums: Mapping[str, str]) -> str:
    return "".join(json.dumps({"id": key, "sha256": value}) + "\n" for key, value in sums.items())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ids and sums; a line that a kill cut short is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # a process beside this one has put it into the manifest
        return
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            key, value = entry["id"], entry["sha256"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(key, str) and isinstance(value, str) and SHA256.fullmatch(value):
            yield key, value


def _decodes(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
