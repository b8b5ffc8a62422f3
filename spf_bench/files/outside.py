"""Text, ids and file names that came from outside: what each must be before it may go anywhere near a file."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from spf_bench.triple import Category

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ID_RULE = "ASCII letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
LONGEST = 1000  # characters: several times what 77 tokens hold
SEEDS = 2**63
SHA256 = re.compile("[0-9a-f]{64}")
REQUIRED = ("id", "base", "target", "category", "seed", "phrases")
OPTIONAL = ("original", "sha256")


def id_fault(value: object) -> str | None:
    """Say why something cannot be an id, which becomes the name of files; None where it can."""
    if isinstance(value, str) and ID.fullmatch(value):
        return None
    return f"{short(value)} is no id: {ID_RULE}"


def name_fault(value: str) -> str | None:
    """Say why somebody's own name for something cannot be an id, as it was typed; None where it can."""
    if ID.fullmatch(value):
        return None
    return f"{value if value.isprintable() else ascii(value)} is no id: {ID_RULE}"


def as_id(name: str) -> str:
    """Return the name of a file or folder with '-' for what an id cannot have; empty where nothing would be left."""
    return name if ID.fullmatch(name) else re.sub("[^A-Za-z0-9._-]+", "-", name).strip("._-")[:100]


def text_fault(value: object) -> str | None:
    """Say why something cannot be a caption; None where it can."""
    if not isinstance(value, str):
        return f"{short(value)} is no text"
    if not value.strip():
        return "is empty"
    if len(value) > LONGEST:
        return f"has {len(value):,} characters, {LONGEST:,} is all"
    odd = next((char for char in value if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")), None)
    return None if odd is None else f"{short(value)} has the character U+{ord(odd):04X}"


def path_fault(value: object) -> str | None:
    """Say why something cannot be the path of a file inside a folder; None where it can."""
    if not isinstance(value, str) or not value or len(value) > LONGEST or not value.isprintable():
        return f"{short(value)} is no file name"
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or re.match("[A-Za-z]:", value):
        return f"{short(value)} leads out of its folder"
    return None


def inside(folder: Path, name: str) -> Path | None:
    """Return the file called ``name`` below ``folder``, links followed; None where there is none inside."""
    try:
        path = (folder / name).resolve(strict=True)
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError):
        return None


def existing(name: str) -> Path | None:
    """Return the file or folder that a user means; None where there is none, and none can be of that name."""
    try:
        path = Path(name).expanduser()
        return path if name and path.exists() else None
    except (OSError, ValueError, RuntimeError):  # a name too long, with a NUL, or of nobody's home
        return None


def triple_faults(data: object) -> Iterator[tuple[str, str]]:
    """Yield every field of a triple's JSON that does not fit, with the reason."""
    if not isinstance(data, Mapping):
        yield "line", f"{short(data)} is no object"
        return
    yield from ((name, "is missing") for name in REQUIRED if name not in data)
    yield from ((short(name), "is no field of a triple") for name in data if name not in REQUIRED + OPTIONAL)
    for name, check in CHECKS.items():
        if name in data and (fault := check(data[name])) is not None:
            yield name, fault
    if ("original" in data) != ("sha256" in data):
        yield "original", "goes with sha256, and neither without the other"


def seed_fault(value: object) -> str | None:
    """Say why something cannot be a noise seed; None where it can."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < SEEDS:
        return None
    return f"{short(value)} is no whole number from 0 to 2^63 - 1"


def category_fault(value: object) -> str | None:
    """Say why something cannot be a category; None where it can."""
    known = [category.value for category in Category]
    return None if value in known else f"{short(value)} is none of {', '.join(known)}"


def phrases_fault(value: object) -> str | None:
    """Say why something cannot be the phrases of a base text; None where it can."""
    if not isinstance(value, list | tuple) or not value:
        return f"{short(value)} is no list of texts"
    return next((fault for fault in map(text_fault, value) if fault), None)


def short(value: object) -> str:
    """Return something from outside as it may be printed: on one line, in ASCII, at most 60 characters."""
    text = ascii(value[:61] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _sha256_fault(value: object) -> str | None:
    return None if isinstance(value, str) and SHA256.fullmatch(value) else f"{short(value)} is no SHA-256"


CHECKS: dict[str, Any] = {
    "id": id_fault,
    "base": text_fault,
    "target": text_fault,
    "category": category_fault,
    "seed": seed_fault,
    "phrases": phrases_fault,
    "original": path_fault,
    "sha256": _sha256_fault,
}
