"""Digests of what a run depends on, so that a folder is never resumed, or returned, for another run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spf_train.data import Sample


def samples_digest(samples: Sequence[Sample]) -> str:
    """SHA-256 over all texts and pixels; an image given as a file counts by its path and size in bytes."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.base}\0{sample.target}\0".encode())
        if isinstance(sample.image, np.ndarray):
            digest.update(str(sample.image.shape).encode() + np.ascontiguousarray(sample.image).tobytes())
        else:
            digest.update(f"{sample.image}\0{Path(sample.image).stat().st_size}".encode())
    return digest.hexdigest()


def weights_digest(folder: Path) -> str:
    """SHA-256 over the config and the weight files directly in a model's folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.name == "config.json" or path.suffix in {".safetensors", ".bin"}:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
