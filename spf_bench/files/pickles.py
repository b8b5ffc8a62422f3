"""Weights as pickles, which can run code when they are opened: refused from outside, unless the user allows them.

What is allowed is read as tensors alone (torch's ``weights_only``), so that even then nothing in it runs.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from spf_bench.errors import UserError, quoted

ALLOW = "SPF_BENCH_ALLOW_PICKLE"
SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
NETWORKS = ("", "unet", "vae", "text_encoder", "text_encoder_2")
"""Folders of a model, itself included, that hold weights."""


def allowed() -> bool:
    """Return whether ``--allow-pickle`` or the variable says that pickles of the user's may be read."""
    return os.environ.get(ALLOW, "").lower() not in ("", "0", "false", "no")


def is_pickle(path: Path) -> bool:
    """Say whether a file's name is that of a pickle."""
    return path.suffix.lower() in SUFFIXES


def pickled_parts(folder: Path) -> list[str]:
    """Return which parts of a model have weights as pickles only; ``"."`` is the model's own folder."""
    return [part or "." for part in NETWORKS if _pickled(folder / part)]


def refuse_pickles(path: Path) -> None:
    """Refuse a file that is a pickle, and a model's folder with parts that are, where none is allowed.

    Raises:
        UserError: With the command that makes safetensors of them.
    """
    parts = pickled_parts(path) if path.is_dir() else []
    if allowed() or not (parts or is_pickle(path)):
        return
    where = f"the weights of {', '.join(parts)} are pickles" if parts and parts != ["."] else "its weights are a pickle"
    fix = f"spf-bench weights convert {quoted(path)} {quoted(converted(path))}, or --allow-pickle"
    raise UserError(f"{path} is not loaded", f"{where}, which can run code when it is opened", fix)


def converted(path: Path) -> Path:
    """Return a free-sounding name for what a model is converted to."""
    return path.with_suffix(".safetensors") if path.suffix else path.with_name(f"{path.name}-safetensors")


def pickles_in(folder: Path) -> Iterable[Path]:
    """Return the pickled weights of a model's folder."""
    files = (path for part in NETWORKS for path in sorted((folder / part).glob("*")) if path.is_file())
    return [path for path in files if is_pickle(path)]


def _pickled(folder: Path) -> bool:
    weights = [path for path in folder.glob("*") if path.is_file()]
    return any(map(is_pickle, weights)) and not any(path.suffix == ".safetensors" for path in weights)
