"""The numbers of a training set, counted from disk a chunk at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spf_bench.trainset.filters import KEPT, Filters
from spf_bench.trainset.histogram import Histogram, histogram
from spf_bench.trainset.plan import CATEGORIES
from spf_bench.trainset.sieve import Cut


@dataclass(frozen=True)
class Figures:
    """The numbers of a set, counted from disk."""

    outcomes: Counter[tuple[str, str]]
    """How many candidates, by category and outcome."""
    cuts: dict[str, dict[int, Cut]]
    """Where each filter cut each group."""
    histograms: dict[str, Histogram]
    """Each filter's scores."""

    @classmethod
    def of(cls, filters: Filters) -> "Figures":
        """Count them, a chunk at a time."""
        found = Counter[tuple[str, str]]()
        names = filters.outcomes
        for codes, reasons in zip(filters.plan.categories(), filters.reasons(), strict=True):
            pairs = np.bincount(codes.astype(np.int64) * len(names) + reasons, minlength=len(CATEGORIES) * len(names))
            for place, count in enumerate(pairs.tolist()):
                found[CATEGORIES[place // len(names)].value, names[place % len(names)]] += count

        def kept() -> Iterator[np.ndarray]:
            return (reasons == 0 for reasons in filters.reasons())

        shapes = {name: histogram(scores.known, kept) for name, scores in filters.scores.items()}
        return cls(found, filters.cuts(), shapes)

    @property
    def total(self) -> int:
        """How many candidates there were."""
        return sum(self.outcomes.values())

    @property
    def kept(self) -> int:
        """How many are in the set."""
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome == KEPT)
