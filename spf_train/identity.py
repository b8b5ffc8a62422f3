"""Digests of what a run depends on, so that a folder is never resumed, or returned, for another run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spf_train.content import content_keys
from spf_train.sample import Sample
from spf_train.shards import key_of
from spf_train.store import Store, alone
from spf_train.text import telling_places


def samples_digest(
    samples: Sequence[Sample],
    cache: Path | None = None,
    rank: int = 0,
    world: int = 1,
    barrier: Callable[[], None] = alone,
) -> str:
    """SHA-256 over all texts and the contents of all images; where a file lies does not count.

    cache: folder in which the hashes of unchanged files are remembered; see `content_keys`.
    rank, world, barrier: of the processes that share the cache; see `Store`.
    """
    keys = content_keys(samples, Store(cache, rank, world, barrier))
    digest = hashlib.sha256()
    for sample, key in zip(samples, keys, strict=True):
        digest.update(f"{sample.base}\0{sample.target}\0".encode())
        if isinstance(sample.image, np.ndarray):
            digest.update(str(sample.image.shape).encode() + np.ascontiguousarray(sample.image).tobytes())
        else:
            digest.update(key.encode())
    return digest.hexdigest()


def weights_digest(path: Path) -> str:
    """SHA-256 over a single-file checkpoint, or over the config and weight files directly in a model's folder."""
    path = Path(path)
    if path.is_file():
        return _file_digest(path).hex()
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.name == "config.json" or file.suffix in {".safetensors", ".bin"}:
            digest.update(_file_digest(file))
    return digest.hexdigest()


def files_digest(folder: Path, patterns: Iterable[str]) -> str:
    """SHA-256 over the places in a folder, and the contents, of the files that match any of the patterns."""
    digest = hashlib.sha256()
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + _file_digest(file))
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def module_digest(module: nn.Module, *settings: object) -> str:
    """A key of a module's weights, in the precision they are in, and of settings that go with them."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, weight in sorted(module.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return key_of(digest.digest())


def tokenizer_digest(tokenizer: Any) -> str:
    """A key of what decides a text's token ids; not of padding and truncation, which every call sets anew."""
    parts = json.loads(telling_places(tokenizer).backend_tokenizer.to_str())
    deciding = {name: part for name, part in parts.items() if name not in {"padding", "truncation"}}
    return key_of(json.dumps(deciding, sort_keys=True), str(tokenizer.model_max_length))
