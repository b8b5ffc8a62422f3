"""The files of a training run: atomic writes, the checkpoint, the log, the marker of a finished run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from spf_train.durable import move_durably, named
from spf_train.errors import ConfigError, explained
from spf_train.processes import Processes


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Has `write` fill a new file or folder beside `path`, then puts it in place in one move; or leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    if new.is_dir():
        shutil.rmtree(new)
    try:
        with named(path):
            write(new)
            if path.is_dir():
                shutil.rmtree(path)
            move_durably(new, path)
    except BaseException:
        if new.is_dir():
            shutil.rmtree(new)
        new.unlink(missing_ok=True)  # what a full disk cut short may be large
        raise


class RunFolder:
    """One stage's folder: run.json, checkpoint.pt, log.jsonl, the result, and finished.json, written last.

    path: the folder; made if it is not there. All processes see it, and only the main one writes.
    identity: what the run depends on. Raises ConfigError if the folder holds a run with another identity.
    processes: those that train together; None is this one alone.
    """

    def __init__(self, path: Path, identity: dict[str, Any], processes: Processes | None = None) -> None:
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        self.processes = processes or Processes()
        run = self.path / "run.json"
        if not run.is_file() and self.processes.main:
            write_atomically(run, lambda new: new.write_text(json.dumps(self.identity, indent=2)))
        self.processes.barrier()
        with explained(f"cannot read {run}", "delete this folder: it is made again"):
            found = dict(json.loads(run.read_text()))
        if found != self.identity:
            differing = sorted(key for key in self.identity | found if found.get(key) != self.identity.get(key))
            why = f"it was started with another {', '.join(differing) or 'version of the trainer'}"
            raise ConfigError(f"cannot resume {self.path}", why, "choose another folder, or delete this one")

    @property
    def finished(self) -> bool:
        """Whether the result is complete."""
        return (self.path / "finished.json").is_file()

    def finish(self, steps: int) -> None:
        """Marks the result as complete and drops the checkpoint, which nothing needs any more.

        Returns when all processes are here: none of them finds the folder half finished.
        """
        if self.processes.main:
            self._finish(steps)
        self.processes.barrier()

    def _finish(self, steps: int) -> None:
        text = json.dumps({"steps": steps})
        write_atomically(self.path / "finished.json", lambda new: new.write_text(text))
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces the checkpoint; an interrupted write leaves the one before."""
        if not self.processes.main:
            return
        write_atomically(self.path / "checkpoint.pt", lambda new: torch.save(state, new))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, on the CPU; None if there is none yet."""
        path = self.path / "checkpoint.pt"
        if not path.is_file():
            return None
        with explained(f"cannot read {path}", "delete this file: the stage starts from its beginning then"):
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def save_result(self, save: Callable[[Path], None]) -> None:
        """Has `save` write its files into a new folder, then moves each entry into this one."""

        def fill(new: Path) -> None:
            new.mkdir()
            save(new)

        if not self.processes.main:
            return
        result = self.path / "result"
        write_atomically(result, fill)
        for entry in result.iterdir():
            write_atomically(self.path / entry.name, entry.replace)
        result.rmdir()

    @contextmanager
    def snapshot(self, save: Callable[[Path], None]) -> Iterator[Path]:
        """A folder with what `save` writes, deleted on exit; for the main process."""
        folder = self.path / "snapshot"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            save(folder)
            yield folder
        finally:
            shutil.rmtree(folder)

    def cut_log(self, steps: int) -> None:
        """Drops the log's rows after `steps` steps, which a resumed run writes again, and those that are damaged."""
        if not self.processes.main:
            return
        log = self.path / "log.jsonl"
        rows = log.read_bytes().splitlines(keepends=True) if log.is_file() else []
        kept = [row for row in rows if row.endswith(b"\n") and 0 < _step_of(row) <= steps]
        write_atomically(log, lambda new: new.write_bytes(b"".join(kept)))

    def log(self, row: dict[str, Any]) -> None:
        """Appends one row to log.jsonl."""
        if self.processes.main:
            with (self.path / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")


def _step_of(row: bytes) -> int:
    """The step a log's row is of; 0 for one that a power cut, or another hand, has damaged."""
    try:
        found = json.loads(row)
    except (ValueError, RecursionError):
        return 0
    step = found.get("step") if isinstance(found, dict) else None
    return step if type(step) is int else 0
