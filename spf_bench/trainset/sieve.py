"""Keeps the best of any number of scores in two passes and constant memory, to the last tie.

A float's bits, put in order, are a whole number. The first pass counts scores by its upper half, the second those of
the one bin that holds the cut by its lower half: an exact quantile without sorting, whatever the number of scores.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

HALF = 1 << 16
Bools = NDArray[np.bool_]
Stream = Callable[[], Iterator[NDArray[np.generic]]]
"""Returns the values of all candidates anew at each call, chunk by chunk."""


@dataclass(frozen=True)
class Cut:
    """Where the scores of one group are cut."""

    key: int
    """The least score kept, as an ordered number."""
    ties: int
    """How many of those with exactly this score are kept, the first ones."""
    kept: int
    """How many are kept in all."""
    of: int
    """How many there were."""

    @property
    def score(self) -> float:
        """The least score kept; NaN where none is."""
        return float(values(np.array([self.key], np.uint32))[0]) if self.kept else math.nan


@dataclass(frozen=True)
class Sieve:
    """Lets the best of a population pass.

    Args:
        population: Who takes part, bool [N] a chunk.
        scores: float32 [N] a chunk; NaN and infinities never pass.
        groups: uint8 [N] a chunk; each group is cut by itself.
        share: How much of each group passes, rounded up; None lets all pass.
        floor: The least score that passes; None lets any pass.
    """

    population: Stream
    scores: Stream
    groups: Stream
    share: float | None = None
    floor: float | None = None

    def passes(self) -> Iterator[Bools]:
        """Yield who passes, bool [N] a chunk; equal scores pass in their order while there is room."""
        left = {group: cut.ties for group, cut in self.cuts.items()}
        for taking, scores, groups in self._chunks():
            passing = taking.copy()
            for group, cut in self.cuts.items():
                mine = np.flatnonzero(taking & (groups == group))
                order = keys(scores[mine])
                tied = np.flatnonzero(order == cut.key)
                good = order > cut.key
                good[tied[: left[group]]] = True
                left[group] -= min(left[group], len(tied))
                passing[mine] = good
            yield passing

    @cached_property
    def cuts(self) -> dict[int, Cut]:
        """Where each group is cut, by group."""
        if self.share is None:
            return {}
        coarse = self._count(lambda order, group: order // HALF)
        wanted = {group: math.ceil(Fraction(str(self.share)) * int(n.sum())) for group, n in coarse.items()}
        bins = {group: _bin(n, wanted[group]) for group, n in coarse.items()}
        fine = self._count(lambda order, group: (order % HALF)[order // HALF == bins[group][0]])
        return {group: _cut(bins[group], fine[group], wanted[group], int(n.sum())) for group, n in coarse.items()}

    def _chunks(self) -> Iterator[tuple[Bools, NDArray[np.float32], NDArray[np.uint8]]]:
        for taking, scores, groups in zip(self.population(), self.scores(), self.groups(), strict=True):
            finite = taking.astype(bool) & np.isfinite(scores)
            if self.floor is not None:
                finite &= scores >= np.float32(self.floor)
            yield finite, scores.astype(np.float32), groups.astype(np.uint8)

    def _count(self, half: Callable[[NDArray[np.uint32], int], NDArray[np.uint32]]) -> dict[int, NDArray[np.int64]]:
        """Count, by group, one half of the ordered scores [HALF]."""
        found: dict[int, NDArray[np.int64]] = {}
        for taking, scores, groups in self._chunks():
            for group in map(int, np.unique(groups[taking])):
                order = keys(scores[taking & (groups == group)])
                count = np.bincount(half(order, group).astype(np.int64), minlength=HALF)
                found[group] = found.get(group, 0) + count
        return found


def keys(scores: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return whole numbers in the order of scores."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 becomes 0: they are equal
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def values(order: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the scores that ``keys`` made these numbers of."""
    bits = np.where(order >> 31, order & np.uint32((1 << 31) - 1), ~order)
    return bits.astype(np.uint32).view(np.float32)


def _bin(counts: NDArray[np.int64], wanted: int) -> tuple[int, int]:
    """Return the bin in which the ``wanted``-th from above lies, and how many lie above that bin."""
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, wanted))
    return HALF - 1 - place, int(above[place] - counts[HALF - 1 - place])


def _cut(found: tuple[int, int], fine: NDArray[np.int64], wanted: int, of: int) -> Cut:
    upper, above = found
    lower, inside = _bin(fine, wanted - above)
    return Cut(upper * HALF + lower, wanted - above - inside, wanted, of)
