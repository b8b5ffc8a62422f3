"""A cache of folders that are slow to make, each named by a hash of everything that went into it."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spf_bench.files.intact import whole
from spf_bench.files.locks import LOCK, hold
from spf_bench.files.storage import explain
from spf_bench.files.store import code_sha256, digest, file_sha256, read_json, write_json
from spf_bench.run.costs import peak_memory

FACTS = "artifact.json"
Build = Callable[[Path], dict[str, Any]]


@dataclass
class Artifacts:
    """Trained folders by the facts they depend on; an unfinished one is taken up where it stopped."""

    root: Path
    """Where the folders lie."""
    facts: dict[str, Any]
    """What every folder made here depends on: weights, data, code, device."""
    device: str = "cpu"
    """Where they are trained, as torch names it: whose memory is measured."""
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is written about each folder asked for so far, by name: seconds, peak memory, result, folder."""
    say: Callable[[str], None] = lambda text: None
    """Told who is waited for where another run makes the same folder, and what was damaged."""

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
        if not known.get("finished") or _damaged(folder, known):
            with hold(folder, self.say):
                known = self._made(folder, facts, build)
        cost = {key: known.get(key) for key in ("seconds", "peak_memory_mib")}
        self.used[name] = {"folder": folder.name, **cost, **known["result"]}
        return folder

    def _made(self, folder: Path, facts: dict[str, Any], build: Build) -> dict[str, Any]:
        """Build a folder unless somebody else has done it meanwhile; what is damaged is put aside and built anew.

        Raises:
            UserError: The disk is full, or cannot be written.
        """
        known = _read(folder)
        if known.get("finished") and (damaged := _damaged(folder, known)):
            self.say(f"{folder / damaged[0]} is damaged: it is made again, and the rest is in {_put_aside(folder)}")
            known = {}
        try:
            return known if known.get("finished") else _build(folder, facts, known, build, self.device)
        except Exception as error:
            raise explain(error, folder) or error from error


def _build(folder: Path, facts: dict[str, Any], before: dict[str, Any], build: Build, device: str) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    start, result, finished = time.monotonic(), dict[str, Any](), False
    with peak_memory(device) as peak:
        try:
            result, finished = build(folder), True
        finally:  # costs add up over interruptions, so a record tells what training really took
            seconds = before.get("seconds", 0.0) + time.monotonic() - start
            memory = max(before.get("peak_memory_mib") or 0.0, peak.so_far())
            cost = {"seconds": round(seconds, 3), "peak_memory_mib": round(memory, 1)}
            sums = _sums(folder) if finished else {}
            known = {"finished": finished, **cost, "result": result, "facts": facts, "sums": sums}
            write_json(folder / FACTS, known)
    return known


def _read(folder: Path) -> dict[str, Any]:
    return read_json(folder / FACTS) if whole(folder / FACTS) else {}


def _sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the weights and configs in a folder, by their place in it."""
    files = sorted([*folder.rglob("*.safetensors"), *folder.glob("*/config.json")])
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def _damaged(folder: Path, known: dict[str, Any]) -> list[str]:
    """Return the files that are missing, or not as they were when the folder was finished."""
    return [
        name
        for name, sha256 in known.get("sums", {}).items()
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256
    ]


def _put_aside(folder: Path) -> Path:
    """Move all that a folder holds into one beside it, in the place of what was put there before."""
    aside = folder.with_name(f"{folder.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for path in [path for path in folder.iterdir() if path.name != LOCK]:
        path.rename(aside / path.name)
    return aside
