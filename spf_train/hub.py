"""Models of the Hugging Face Hub, from the local cache where they are in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from spf_train.errors import ConfigError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def snapshot(name: str, patterns: Sequence[str]) -> Path:
    """The folder with a Hub model's files; what the cache lacks is downloaded.

    patterns: the files wanted; of weights only .safetensors without a variant (such as fp16) are taken.
    Raises ConfigError if it is neither a path nor a Hub id, or cannot be had, with the command that fetches it.
    """
    from huggingface_hub import snapshot_download

    if not HUB_ID.fullmatch(name):
        fix = "pass a folder, a .safetensors file, or a Hub id such as owner/name"
        raise ConfigError(f"there is no {name!r}", "no such file or folder, and it is no Hub id", fix)
    unwanted = ["*.bin", "*.ckpt", "*.msgpack", "*.h5", "*.onnx*", "*.fp16.*", "*.non_ema.*"]
    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), ignore_patterns=unwanted))
    except Exception as error:  # each version of huggingface_hub has its own errors for no network and no such model
        why = f"it is not in the cache, and: {str(error).strip().splitlines()[0]}"
        fix = f"where there is a network: hf download {name}; or pass the folder that has it"
        raise ConfigError(f"cannot get {name} from the Hugging Face Hub", why, fix) from error
