"""Whether a checkpoint is here and is what upstream released; each file is read once, then known by size and time.

Where upstream states no digest, the first one seen here is kept, and a file that changes later is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import digest as digest_of
from spf_bench.weights import hub, ledger, places
from spf_bench.weights.base import find_pipeline, own_pipeline
from spf_bench.weights.checkpoint import Checkpoint, File
from spf_bench.weights.table import CHECKPOINTS


class State(StrEnum):
    """What is known of a checkpoint on this machine."""

    verified = "verified"
    """All files are here, and those that upstream states a digest of have it."""
    kept = "kept"
    """All files are here; upstream states no digest of the weights, and they are as they were first seen."""
    missing = "missing"
    """A file is not here."""
    altered = "altered"
    """A file is here and is not what it should be."""


@dataclass(frozen=True)
class Status:
    """What was found of one checkpoint."""

    state: State
    detail: str
    """Where it lies, or what is wrong."""
    files: tuple[Path, ...] = ()
    sha256: tuple[str, ...] = ()
    """Of each file, in the order of the table."""

    @property
    def usable(self) -> bool:
        """Whether a metric may look through it."""
        return self.state in (State.verified, State.kept)


def status(checkpoint: Checkpoint) -> Status:
    """Look for a checkpoint and verify its files; nothing is fetched."""
    if not checkpoint.files:
        return _pipeline(checkpoint)
    found = places.find(checkpoint)
    if found is None:
        return Status(State.missing, f"not in {_home(checkpoint)}")
    sums = []
    for file, path in zip(checkpoint.files, found, strict=True):
        sha256, md5 = ledger.hashes(path)
        problem = wrong(file, path.stat().st_size, sha256, md5) or hub.unlike(path, sha256)
        if problem := problem or _changed(checkpoint, file, sha256):
            return Status(State.altered, f"{path} {problem}", tuple(found))
        sums.append(sha256)
    for file, sha256 in zip(checkpoint.files, sums, strict=True):
        ledger.remember(_first(checkpoint, file), {"sha256": sha256})
    stated = checkpoint.files[0].sha256 or checkpoint.files[0].md5 or hub.stated(found[0])
    state = State.verified if stated else State.kept
    return Status(state, str(_place(found)), tuple(found), tuple(sums))


def _pipeline(checkpoint: Checkpoint) -> Status:
    """Look for a whole pipeline, and compare its weights with what the Hub stated of them."""
    folder = find_pipeline(checkpoint)
    if folder is None:
        return Status(State.missing, f"not in {_home(checkpoint)}")
    try:
        hub.refuse_altered(folder, "")
    except UserError as error:
        first = error.problems[0]
        return Status(State.altered, f"{folder / first.subject} {first.why}")
    return Status(State.kept, str(folder))


def wrong(file: File, size: int, sha256: str, md5: str) -> str:
    """Return what contradicts upstream's word about a file, or nothing."""
    if file.sha256 and not sha256.startswith(file.sha256):
        return f"has sha256 {sha256[:12]}…, not {file.sha256[:12]}…"
    if file.md5 and md5 != file.md5:
        return f"has md5 {md5[:12]}…, not {file.md5[:12]}…"
    if file.sha256 is None and file.md5 is None and file.size and size != file.size:
        return f"has {size} bytes, not {file.size}"
    return ""


def require(names: Iterable[str]) -> None:
    """Verify checkpoints before anything looks through them.

    Raises:
        UserError: Some are missing or altered; all of them are named, with the command that mends each.
    """
    found = {name: status(CHECKPOINTS[name]) for name in names}
    problems = [_problem(name, one) for name, one in found.items() if not one.usable]
    if problems:
        raise UserError(f"{len(problems)} of {len(found)} checkpoints cannot be used here", problems=problems)


def path(name: str) -> Path:
    """Return where a verified checkpoint lies: its file, or the folder of its several files.

    Raises:
        UserError: It is missing or altered.
    """
    return _place(_usable(name).files)


def digest(name: str) -> str:
    """Return one SHA-256 over the names and contents of a verified checkpoint's files.

    Raises:
        UserError: It is missing or altered.
    """
    files = CHECKPOINTS[name].files
    return digest_of([(file.name, sha256) for file, sha256 in zip(files, _usable(name).sha256, strict=True)], length=64)


def forget(checkpoint: Checkpoint) -> None:
    """Drop what was first seen of a checkpoint, before it is fetched anew."""
    ledger.drop(_first(checkpoint, file) for file in checkpoint.files)


def _usable(name: str) -> Status:
    found = status(CHECKPOINTS[name])
    if not found.usable:
        raise UserError("1 checkpoint cannot be used here", problems=[_problem(name, found)])
    return found


def _problem(name: str, found: Status) -> Problem:
    force = " --force" if found.state is State.altered else ""
    return Problem(name, found.detail, f"spf-bench weights fetch {name}{force}")


def _place(files: Sequence[Path]) -> Path:
    return files[0] if len(files) == 1 else files[0].parent


def _home(checkpoint: Checkpoint) -> str:
    folder = places.target(checkpoint) if checkpoint.files else own_pipeline(checkpoint)
    return str(folder) if folder else f"the Hugging Face cache ({checkpoint.source})"


def _changed(checkpoint: Checkpoint, file: File, sha256: str) -> str:
    first = ledger.read().get(_first(checkpoint, file), {}).get("sha256")
    return "" if first in (None, sha256) else f"has sha256 {sha256[:12]}…, and had {str(first)[:12]}… when first seen"


def _first(checkpoint: Checkpoint, file: File) -> str:
    return f"{checkpoint.source} {file.name}"
