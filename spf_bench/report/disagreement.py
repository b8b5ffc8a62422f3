"""Triples on which two metrics rank the methods most differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.record import Column

if TYPE_CHECKING:
    import pandas as pd

MOST = 24
"""Triples kept of each pair of metrics."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two metrics, and the triples they disagree about."""

    a: Column
    b: Column
    agreement: float
    """Mean of Spearman's rho over all triples, in [-1, 1]."""
    triples: list[tuple[str, float]]
    """Id and rho, from the most opposite."""


def pairs(frames: Sequence["pd.DataFrame"], columns: Sequence[Column], ids: Sequence[str]) -> list[Pair]:
    """Return every pair of metrics measured triple by triple, the pair that agrees least first.

    Args:
        frames: Scores per triple of each method, by id.
        columns: The metrics of the table; those of whole sets have no scores per triple.
        ids: Triples to look at.
    """
    known = [c for c in columns if frames and ids and all(c.key in frame for frame in frames)]
    scores = {c.key: _scores(frames, c, ids) for c in known}
    found = [_pair(a, b, scores, ids) for a, b in combinations(known, 2)]
    return sorted((pair for pair in found if pair.triples), key=lambda pair: pair.agreement)


def rho(a: Array, b: Array) -> Array:
    """Return Spearman's rho [T] of scores [T, M], ties sharing their mean rank.

    NaN where a score is missing, or where one side ranks all methods alike.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(side, axis=1, nan_policy="propagate") for side in (a, b)]
    x, y = (side - side.mean(1, keepdims=True) for side in ranks)
    spread = np.sqrt((x * x).sum(1) * (y * y).sum(1))
    return np.divide((x * y).sum(1), spread, out=np.full(len(a), np.nan), where=spread > 0)


def _pair(a: Column, b: Column, scores: Mapping[str, Array], ids: Sequence[str]) -> Pair:
    left, right = scores[a.key], scores[b.key]
    found = rho(left, right)
    known = np.flatnonzero(~np.isnan(found)).tolist()
    clear = np.minimum(_clarity(left), _clarity(right))
    order = sorted(known, key=lambda i: (round(float(found[i]), 9), -clear[i]))
    mean = float(found[known].mean()) if len(known) else float("nan")
    return Pair(a, b, mean, [(ids[i], float(found[i])) for i in order[:MOST] if found[i] < 0])


def _clarity(scores: Array) -> Array:
    """Return how far apart the methods are [T], in standard deviations: of equal ranks the clearest come first.

    NaN where a score is missing.
    """
    deviation: Any = np.nanstd(scores) or 1.0
    return (scores.max(1) - scores.min(1)) / deviation


def _scores(frames: Sequence["pd.DataFrame"], column: Column, ids: Sequence[str]) -> Array:
    """Return the scores [T, M] of one metric, larger being better."""
    sign = 1.0 if column.higher_is_better else -1.0
    return sign * np.stack([frame[column.key].reindex(list(ids)).to_numpy(float) for frame in frames], axis=1)
