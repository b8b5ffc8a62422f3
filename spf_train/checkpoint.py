"""The files of a training run: atomic writes, the checkpoint, the log, the marker of a finished run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from spf_train.errors import ConfigError


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Has `write` fill a new file or folder beside `path`, then puts it in place in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    if new.is_dir():
        shutil.rmtree(new)
    write(new)
    if path.is_dir():
        shutil.rmtree(path)
    os.replace(new, path)


class RunFolder:
    """One stage's folder: run.json, checkpoint.pt, log.jsonl, the result, and finished.json, written last.

    path: the folder; made if it is not there.
    identity: what the run depends on. Raises ConfigError if the folder holds a run with another identity.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        run = self.path / "run.json"
        if not run.is_file():
            write_atomically(run, lambda new: new.write_text(json.dumps(self.identity, indent=2)))
        elif (found := json.loads(run.read_text())) != self.identity:
            differing = sorted(key for key in self.identity if found.get(key) != self.identity[key])
            why = f"it was started with another {', '.join(differing) or 'version of the trainer'}"
            raise ConfigError(f"cannot resume {self.path}", why, "choose another folder, or delete this one")

    @property
    def finished(self) -> bool:
        """Whether the result is complete."""
        return (self.path / "finished.json").is_file()

    def finish(self, steps: int) -> None:
        """Marks the result as complete and drops the checkpoint, which nothing needs any more."""
        text = json.dumps({"steps": steps})
        write_atomically(self.path / "finished.json", lambda new: new.write_text(text))
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces the checkpoint; an interrupted write leaves the one before."""
        write_atomically(self.path / "checkpoint.pt", lambda new: torch.save(state, new))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, on the CPU; None if there is none yet."""
        path = self.path / "checkpoint.pt"
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def save_result(self, save: Callable[[Path], None]) -> None:
        """Has `save` write its files into a new folder, then moves each entry into this one."""

        def fill(new: Path) -> None:
            new.mkdir()
            save(new)

        result = self.path / "result"
        write_atomically(result, fill)
        for entry in result.iterdir():
            write_atomically(self.path / entry.name, entry.replace)
        result.rmdir()

    def cut_log(self, steps: int) -> None:
        """Drops the log's rows after `steps` steps: a resumed run writes them again."""
        log = self.path / "log.jsonl"
        rows = log.read_text().splitlines(keepends=True) if log.is_file() else []
        kept = [row for row in rows if row.endswith("\n") and json.loads(row)["step"] <= steps]
        write_atomically(log, lambda new: new.write_text("".join(kept)))

    def log(self, row: dict[str, Any]) -> None:
        """Appends one row to log.jsonl."""
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
