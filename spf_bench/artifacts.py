"""A cache of folders that are slow to make, each named by a hash of everything that went into it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spf_bench.store import code_sha256, digest, read_json, write_json

FACTS = "artifact.json"
Build = Callable[[Path], dict[str, Any]]


@dataclass
class Artifacts:
    """Trained folders by the facts they depend on; an unfinished one is taken up where it stopped."""

    root: Path
    """Where the folders lie."""
    facts: dict[str, Any]
    """What every folder made here depends on: weights, data, code, device."""
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is written about each folder asked for so far, by name: seconds, facts, result, folder."""

    def get(self, name: str, key: dict[str, Any], build: Build) -> Path:
        """Return the finished folder for ``key``, calling ``build(folder)`` unless it is there.

        Args:
            name: What the folder holds, e.g. ``"stage1"``; the start of its name.
            key: The settings that decide its contents, as plain JSON types.
            build: Fills the folder and returns what to record about it; called again on the same folder
                after an interruption. The code of its file is part of the key.
        """
        facts = {**self.facts, **key, "build": code_sha256(Path(build.__code__.co_filename))}
        folder = self.root / f"{name}-{digest(facts)}"
        known = _read(folder)
        if not known.get("finished"):
            known = _build(folder, facts, known.get("seconds", 0.0), build)
        self.used[name] = {"folder": folder.name, "seconds": known["seconds"], **known["result"]}
        return folder


def _build(folder: Path, facts: dict[str, Any], before: float, build: Build) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    start, result, finished = time.monotonic(), dict[str, Any](), False
    try:
        result, finished = build(folder), True
    finally:  # seconds add up over interruptions, so a record tells what training really took
        seconds = before + time.monotonic() - start
        known = {"finished": finished, "seconds": round(seconds, 3), "result": result, "facts": facts}
        write_json(folder / FACTS, known)
    return known


def _read(folder: Path) -> dict[str, Any]:
    return read_json(folder / FACTS) if (folder / FACTS).is_file() else {}
