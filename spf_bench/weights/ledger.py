"""What this machine knows of checkpoint files: digests by size and time of change, and the first digest seen."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from spf_bench.errors import UserError
from spf_bench.files.store import write_json
from spf_bench.weights import places

CHUNK = 1 << 22
Facts = dict[str, object]


def hashes(path: Path) -> tuple[str, str]:
    """Return SHA-256 and MD5 of a file; it is read only where its size or time of change is new."""
    facts = path.stat()
    stamp: Facts = {"size": facts.st_size, "changed": facts.st_mtime_ns}
    known = read().get(str(path.resolve()), {})
    if stamp.items() <= known.items():
        return str(known["sha256"]), str(known["md5"])
    sha256, md5 = _digests(path)
    remember(str(path.resolve()), {**stamp, "sha256": sha256, "md5": md5})
    return sha256, md5


def read() -> dict[str, Facts]:
    """Return everything known, by file or by source; nothing where there is no ledger yet."""
    try:
        return dict(json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def remember(key: str, facts: Facts) -> None:
    """Keep facts under a key."""
    known = read()
    if known.get(key) != facts:
        _save({**known, key: facts})


def drop(keys: Iterable[str]) -> None:
    """Forget what is kept under these keys."""
    gone = set(keys)
    _save({key: facts for key, facts in read().items() if key not in gone})


def _digests(path: Path) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


def _file() -> Path:
    return places.cache_home() / "spf-bench" / "weights.json"


def _save(known: dict[str, Facts]) -> None:
    try:
        write_json(_file(), known)
    except (OSError, UserError):
        return  # a ledger that cannot be written costs time, not correctness
