"""Rendered samples as arrays, drawn once and kept on disk for the stages that train on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spf_bench.world.distributions import Sample
from spf_bench.world.portrait import ATTRIBUTES, part_map, render, tell
from spf_bench.world.targets import unreadable

FIELDS = tuple(ATTRIBUTES)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pool:
    """N samples: pictures, what they show, and what may be said of them."""

    samples: Sequence[Sample]
    images: np.ndarray
    """[N, 64, 64, 3] uint8."""
    labels: np.ndarray
    """[N, attributes] int64: index of each attribute's value, in the order of `ATTRIBUTES`."""
    readable: np.ndarray
    """[N, attributes] bool: False where the attribute does not show in the picture."""
    parts: np.ndarray | None = None
    """[N, 64, 64] uint8 part labels, where asked for."""

    def __len__(self) -> int:
        return len(self.samples)

    def first(self, n: int) -> Pool:
        """The first n samples."""
        parts = None if self.parts is None else self.parts[:n]
        return Pool(self.samples[:n], self.images[:n], self.labels[:n], self.readable[:n], parts)

    def __add__(self, other: Pool) -> Pool:
        """Both pools, one after the other, without part labels."""
        return Pool(
            [*self.samples, *other.samples],
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.readable, other.readable]),
        )

    @classmethod
    def draw(
        cls,
        samples: Sequence[Sample],
        cache: Path | None = None,
        progress: Progress = lambda what, done, total: None,
        parts: bool = False,
        size: int = 64,
    ) -> Pool:
        """Renders the samples, or reads them from `cache` (a .npz) where they were rendered before."""
        labels = np.array([label(sample) for sample in samples], dtype=np.int64)
        readable = np.array([[n not in unreadable(s.portrait) for n in FIELDS] for s in samples], dtype=bool)
        key = hashlib.sha256(labels.tobytes() + bytes([size, parts])).hexdigest()
        if cache and cache.exists():
            with np.load(cache) as stored:
                if str(stored["key"]) == key:
                    return cls(samples, stored["images"], labels, readable, stored["parts"] if parts else None)
        images = np.empty((len(samples), size, size, 3), dtype=np.uint8)
        maps = np.zeros((len(samples) if parts else 0, size, size), dtype=np.uint8)
        for index, sample in enumerate(samples):
            images[index] = render(sample.portrait, size)
            if parts:
                maps[index] = part_map(sample.portrait, size)
            if index % 100 == 99 or index + 1 == len(samples):
                progress(f"render {cache.stem if cache else ''}".strip(), index + 1, len(samples))
        if cache:
            cache.parent.mkdir(parents=True, exist_ok=True)
            partial = cache.with_suffix(".partial.npz")
            np.savez(partial, key=key, images=images, parts=maps)
            partial.replace(cache)
        return cls(samples, images, labels, readable, maps if parts else None)


def label(sample: Sample) -> list[int]:
    """The index of every attribute's value, in the order of `ATTRIBUTES`."""
    return [ATTRIBUTES[name].index(getattr(sample.portrait, name)) for name in FIELDS]


def statements(sample: Sample) -> list[tuple[str, dict[str, str]]]:
    """Each phrase of a sample's complete text with the attribute values it states."""
    contradicted = set().union(*(t.contradicts for t in (sample.target, sample.extra) if t))
    told = [
        (phrase, {name: getattr(sample.portrait, name) for name in names})
        for phrase, names in tell(sample.portrait, contradicted).items()
        if phrase in sample.phrases
    ]
    return told + [(t.phrase, dict(t.sets)) for t in (sample.target, sample.extra) if t]
