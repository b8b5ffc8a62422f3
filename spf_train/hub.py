"""Models of the Hugging Face Hub, from the local cache where they are in it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from spf_train.errors import ConfigError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SHA256 = re.compile("[0-9a-f]{64}")


def snapshot(name: str, patterns: Sequence[str]) -> Path:
    """The folder with a Hub model's files; what the cache lacks is downloaded.

    patterns: the files wanted; of weights only .safetensors without a variant (such as fp16) are taken.
    Raises ConfigError if it is neither a path nor a Hub id, cannot be had, with the command that fetches it, or is not
    what the Hub stated.
    """
    from huggingface_hub import snapshot_download

    if not HUB_ID.fullmatch(name):
        fix = "pass a folder, a .safetensors file, or a Hub id such as owner/name"
        raise ConfigError(f"there is no {name!r}", "no such file or folder, and it is no Hub id", fix)
    unwanted = ["*.bin", "*.ckpt", "*.msgpack", "*.h5", "*.onnx*", "*.fp16.*", "*.non_ema.*"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(patterns), ignore_patterns=unwanted))
    except Exception as error:  # each version of huggingface_hub has its own errors for no network and no such model
        why = f"it is not in the cache, and: {str(error).strip().splitlines()[0]}"
        fix = f"where there is a network: hf download {name}; or pass the folder that has it"
        raise ConfigError(f"cannot get {name} from the Hugging Face Hub", why, fix) from error
    if altered := [path.name for path in sorted(folder.rglob("*.safetensors")) if not _as_stated(path)]:
        why = f"{', '.join(altered)} has another SHA-256 than the Hub states"
        raise ConfigError(f"{folder} is not as the Hub has it", why, f"hf download {name} --force-download")
    return folder


def _as_stated(path: Path) -> bool:
    """Whether a file has the SHA-256 in the name under which the Hub's cache keeps it; where there is none, true."""
    real = path.resolve()
    facts = real.stat()
    return not SHA256.fullmatch(real.name) or _sha256(real, facts.st_size, facts.st_mtime_ns) == real.name


@functools.cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file, read again only where its size or time of change is another."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
