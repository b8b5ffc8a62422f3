"""Where checkpoints lie: one folder of the user's, or where the Hugging Face and torch libraries keep theirs."""

import os
from collections.abc import Iterator
from pathlib import Path

from spf_bench.weights.checkpoint import Checkpoint, Hub

FOLDER = "SPF_BENCH_WEIGHTS"


def own_folder() -> Path | None:
    """Return the folder that ``--weights-dir`` or the variable ``SPF_BENCH_WEIGHTS`` names, if one does."""
    named = os.environ.get(FOLDER)
    return Path(named).expanduser() if named else None


def cache_home() -> Path:
    """Return the folder of user-specific caches, as XDG has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def torch_folder() -> Path:
    """Return where torch.hub keeps downloaded checkpoints: below ``TORCH_HOME``."""
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else cache_home() / "torch") / "hub" / "checkpoints"


def offline() -> bool:
    """Return whether ``HF_HUB_OFFLINE`` forbids the network; what is no Hub's heeds it too."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def target(checkpoint: Checkpoint) -> Path | None:
    """Return the folder a checkpoint is fetched into; None is the Hugging Face cache, which has its own layout."""
    own = own_folder()
    if own:
        return own / checkpoint.name
    if isinstance(checkpoint.source, Hub):
        return None
    return torch_folder() / checkpoint.name if checkpoint.source.archive else torch_folder()


def find(checkpoint: Checkpoint) -> list[Path] | None:
    """Return a checkpoint's files in the first place that has all of them; None where no place does."""
    for files in _places(checkpoint):
        if all(file is not None and file.is_file() for file in files):
            return [file for file in files if file is not None]
    return None


def _places(checkpoint: Checkpoint) -> Iterator[list[Path | None]]:
    names = [file.name for file in checkpoint.files]
    own = own_folder()
    if own:
        yield [own / checkpoint.name / name for name in names]
    if isinstance(checkpoint.source, Hub):
        yield [_cached(checkpoint.source, name) for name in names]
        return
    folder = torch_folder() / checkpoint.name if checkpoint.source.archive else torch_folder()
    yield [folder / name for name in names]
    if checkpoint.name == "buffalo_l":
        yield [Path("~/.insightface/models/buffalo_l").expanduser() / name for name in names]


def _cached(source: Hub, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, name, revision=source.revision)
    return Path(found) if isinstance(found, str) else None
