"""Histograms of scores that are too many to hold: two passes, a dozen counters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spf_bench.trainset.chunks import Floats

BINS = 12


@dataclass(frozen=True)
class Histogram:
    """How many scores lie where, and how many of those were kept."""

    edges: tuple[float, ...]
    """Ends of the bins, one more than there are bins; none where there is no score."""
    scored: tuple[int, ...]
    """Scores in each bin; the last bin holds its upper end too."""
    kept: tuple[int, ...]
    """Those of candidates that are in the set."""


def histogram(scores: Callable[[], Iterator[Floats]], kept: Callable[[], Iterator[NDArray[np.bool_]]]) -> Histogram:
    """Count the finite scores of all chunks, over ``BINS`` bins between the least and the greatest."""
    ends = [(part.min(), part.max()) for chunk in scores() if (part := chunk[np.isfinite(chunk)]).size]
    if not ends:
        return Histogram((), (), ())
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    edges = np.linspace(low, high if high > low else low + 1e-6, BINS + 1)
    counts = np.zeros((2, BINS), np.int64)
    for chunk, taken in zip(scores(), kept(), strict=True):
        known = np.isfinite(chunk)
        for row, part in enumerate((chunk[known], chunk[known & taken])):
            counts[row] += np.histogram(np.clip(part.astype(np.float64), low, edges[-1]), edges)[0]
    return Histogram(tuple(edges.tolist()), tuple(counts[0].tolist()), tuple(counts[1].tolist()))
