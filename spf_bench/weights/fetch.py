"""Fetches checkpoints: resumes what was cut off, verifies what came, and keeps nothing that is not as stated."""

import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import write_atomic
from spf_bench.progress import Progress
from spf_bench.weights import places
from spf_bench.weights.base import own_pipeline, wanted
from spf_bench.weights.check import State, Status, forget, status, wrong
from spf_bench.weights.checkpoint import Checkpoint, File, Hub, Url
from spf_bench.weights.download import download
from spf_bench.weights.ledger import hashes


def fetch(checkpoints: Sequence[Checkpoint], progress: Progress, force: bool = False) -> list[Status]:
    """Fetch what is not here yet, each checkpoint by itself: one that fails stops no other.

    Args:
        checkpoints: In the order in which they are fetched.
        progress: Shows bytes.
        force: Fetch anew what is here.

    Raises:
        UserError: The disk is too small, or some could not be fetched; all are named.
    """
    wanted = [one for one in checkpoints if force or not status(one).usable]
    _room(wanted)
    problems = []
    for checkpoint in wanted:
        try:
            _fetch(checkpoint, progress, force or status(checkpoint).state is State.altered)
        except UserError as error:
            problems.append(
                Problem(
                    checkpoint.name,
                    f"{error.what}: {error.why}" if error.why else error.what,
                    error.fix or _again(checkpoint),
                )
            )
    if problems:
        raise UserError(f"{len(problems)} of {len(wanted)} checkpoints could not be fetched", problems=problems)
    return [status(one) for one in checkpoints]


def _fetch(checkpoint: Checkpoint, progress: Progress, force: bool) -> None:
    if places.offline():
        raise UserError("HF_HUB_OFFLINE is set", "nothing may be fetched", "unset it, or copy the files by hand")
    if force:
        forget(checkpoint)
    if checkpoint.terms:
        progress.note(f"{checkpoint.name}: {checkpoint.terms}")
    if isinstance(checkpoint.source, Hub):
        _from_hub(checkpoint, checkpoint.source, force)
    else:
        _from_url(checkpoint, checkpoint.source, progress, force)
    found = status(checkpoint)
    if not found.usable:
        raise UserError(found.detail, "upstream has changed it, or the connection did", _again(checkpoint))


def _from_hub(checkpoint: Checkpoint, source: Hub, force: bool) -> None:
    import huggingface_hub as hub

    hub.utils.logging.set_verbosity_error()  # what fails is told below, all at once
    try:
        names = [file.name for file in checkpoint.files]
        folder = places.target(checkpoint)
        if not names:
            names = wanted(hub.HfApi().list_repo_files(source.repo, revision=source.revision))
            folder = own_pipeline(checkpoint)
        for name in names:
            hub.hf_hub_download(source.repo, name, revision=source.revision, local_dir=folder, force_download=force)
    except Exception as error:  # its client raises the errors of whatever HTTP library its version uses
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0]
        raise UserError(f"cannot fetch {source}", why, _again(checkpoint)) from error


def _from_url(checkpoint: Checkpoint, source: Url, progress: Progress, force: bool) -> None:
    folder = places.target(checkpoint)
    assert folder is not None  # only the Hub's files have a cache of another layout
    whole = source.archive or checkpoint.files[0]
    path = folder / whole.name
    if force:
        path.unlink(missing_ok=True)
    if not path.is_file():
        download(source.url, path, whole.size, progress, verified=bool(whole.sha256 or whole.md5))
    if problem := wrong(whole, path.stat().st_size, *hashes(path)):
        path.unlink()
        raise UserError(f"what came from {source.url} {problem}", "it was thrown away", _again(checkpoint))
    if source.archive:
        _unpack(path, checkpoint.files, folder)
        path.unlink()


def _unpack(archive: Path, files: Sequence[File], folder: Path) -> None:
    """Take the listed files out of a zip by their bare names; what else lies in it stays there."""
    with zipfile.ZipFile(archive) as zipped:
        members = {PurePosixPath(name).name: name for name in zipped.namelist()}
        for file in files:
            if file.name not in members:
                raise UserError(f"{archive.name} has no {file.name}", "", "see spf-bench weights list")
            with zipped.open(members[file.name]) as source:
                write_atomic(folder / file.name, lambda part, source=source: _copy(source, part))  # type: ignore[misc]


def _copy(source: IO[bytes], to: Path) -> None:
    with to.open("wb") as target:
        shutil.copyfileobj(source, target)


def _room(wanted: Sequence[Checkpoint]) -> None:
    """Refuse what does not fit on the disks that it goes to; raises UserError naming each that is too small."""
    need, place = Counter[int](), dict[int, Path]()
    for checkpoint in wanted:
        folder = _home(checkpoint).absolute()
        there = next(one for one in (folder, *folder.parents) if one.exists())
        disk = there.stat().st_dev
        need[disk] += checkpoint.size or 0
        place.setdefault(disk, there)
    free = {disk: shutil.disk_usage(there).free for disk, there in place.items()}
    small = [
        f"{place[disk]} has {free[disk] / 2**30:.1f} GiB free, at least {size / 2**30:.1f} GiB are wanted"
        for disk, size in need.items()
        if size > free[disk]
    ]
    if small:
        fix = "make room, or choose --weights-dir DIR"
        raise UserError("there is no room for the checkpoints", "; ".join(small), fix)


def _home(checkpoint: Checkpoint) -> Path:
    """Return the folder that a checkpoint's files go to."""
    from huggingface_hub.constants import HF_HUB_CACHE

    own = places.target(checkpoint) if checkpoint.files else own_pipeline(checkpoint)
    return own or Path(HF_HUB_CACHE)


def _again(checkpoint: Checkpoint) -> str:
    return f"spf-bench weights fetch {checkpoint.name}"
