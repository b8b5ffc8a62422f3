"""Intervals and tests over test cases: paired bootstrap, sign-flip permutation, Holm, grouped jackknife.

The unit is the test case, or a cluster of rows that share one, e.g. the steps of a sequence. Rows are taken in the
order of their ids, so equal ids and seed mean equal resamples: the intervals of two methods are paired, and shuffling a
table changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DRAWS = 10_000
SEED = 0
LEVEL = 0.95
FOLDS = 20
_CHUNK = 500  # resamples held in memory at once

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over test cases with its interval."""

    n: int
    """Test cases measured."""
    value: float
    """NaN where none was."""
    low: float
    """NaN where fewer than two test cases, or clusters of them, were measured; so too ``high``."""
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean paired difference with its interval and the chance of one as large without any effect."""

    p: float
    """Two-sided sign-flip permutation test, in (0, 1]; NaN without pairs."""


def bootstrap(
    table: pd.DataFrame, draws: int = DRAWS, seed: int = SEED, clusters: "pd.Series[Any] | None" = None
) -> dict[str, Estimate]:
    """Estimate the mean of every column with a percentile bootstrap interval over rows.

    The ends are NaN where fewer than two rows, or clusters, have a score: one says nothing of how others would differ.

    Args:
        table: Test cases by id, one column per score; NaN is left out of its column.
        draws: Resamples.
        seed: Of the resamples, which all columns share.
        clusters: What each row belongs to, by id; rows of one cluster are drawn together. None: each its own.
    """
    if table.empty:
        return {str(name): Estimate(0, *[float("nan")] * 3) for name in table.columns}
    values = table.sort_index().to_numpy(float)
    known = (~np.isnan(values)).astype(float)
    filled = np.where(known, values, 0.0)
    if clusters is not None:
        filled, known = (_summed(rows, clusters.loc[sorted(table.index)]) for rows in (filled, known))
    means = np.concatenate([_ratio(c @ filled, c @ known) for c in resamples(len(known), draws, seed)])
    enough = (known > 0).sum(0) > 1
    low, high = (np.where(enough, ends, np.nan) for ends in interval(means))
    counts = known.sum(0)
    centre = _ratio(filled.sum(0), counts)
    columns = zip(table.columns, counts, centre, low, high, strict=True)
    return {str(name): Estimate(int(n), float(v), float(lo), float(hi)) for name, n, v, lo, hi in columns}


def compare(
    a: "pd.Series[Any]",
    b: "pd.Series[Any]",
    draws: int = DRAWS,
    seed: int = SEED,
    clusters: "pd.Series[Any] | None" = None,
) -> Difference:
    """Estimate the mean of ``a - b`` over the ids measured in both, with interval and p-value."""
    differences = (a - b).dropna().sort_index()
    estimate = bootstrap(differences.to_frame("difference"), draws, seed, clusters)["difference"]
    units = differences.to_numpy(float)
    if clusters is not None and len(units):
        units = _summed(units[:, None], clusters.loc[differences.index])[:, 0]
    p = permutation_p(units, draws, seed)
    return Difference(estimate.n, estimate.value, estimate.low, estimate.high, p)


def permutation_p(differences: Array, draws: int = DRAWS, seed: int = SEED) -> float:
    """Return the two-sided p-value of paired differences [n] under random signs, in (0, 1].

    The observed signs count as one of the draws, so p is never 0 (Phipson and Smyth, 2010).
    """
    if not len(differences):
        return float("nan")
    rng = np.random.default_rng(seed)
    observed = abs(differences.sum()) * (1 - 1e-12)  # equal sums must count as equal despite rounding
    extreme = sum(
        int((np.abs(rng.choice([-1.0, 1.0], (size, len(differences))) @ differences) >= observed).sum())
        for size in _chunks(draws)
    )
    return (1 + extreme) / (1 + draws)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing all of them at once (Holm, 1979)."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def jackknife(
    statistic: Callable[[NDArray[np.int64]], float], n: int, folds: int = FOLDS, clusters: Sequence[str] | None = None
) -> tuple[float, float]:
    """Return an interval for a statistic of a whole set, by leaving out one fold of rows at a time.

    A bootstrap would repeat images and so push a distance between sets up; leaving images out does not. The
    interval speaks of sampling alone: the bias of a small set stays. NaN with fewer than two rows in each
    fold.

    Args:
        statistic: From the indices of the rows kept to the value.
        n: Rows, in the order of their ids; fold k holds rows k, k + folds, ...
        folds: Parts that are left out in turn.
        clusters: What each row belongs to; rows of one cluster are left out together. None: each its own.
    """
    rows = np.arange(n)
    units = rows if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(np.unique(units)) < 2 * folds:
        return float("nan"), float("nan")
    left = np.array([statistic(rows[units % folds != fold]) for fold in range(folds)])
    error = np.sqrt((folds - 1) / folds * np.square(left - left.mean()).sum())
    centre = statistic(rows)
    return centre - 1.96 * error, centre + 1.96 * error


def resamples(n: int, draws: int, seed: int) -> Iterator[Array]:
    """Yield how often each of n rows is drawn in each bootstrap resample, [some draws, n] at a time."""
    rng = np.random.default_rng(seed)
    for size in _chunks(draws):
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float)


def interval(means: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Return the percentile interval of each column of resampled means [draws, k]; NaN without any value."""
    tail = 50 * (1 - level)
    empty = np.isnan(means).all(0)
    low, high = np.nanpercentile(np.where(empty, 0.0, means), [tail, 100 - tail], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def _summed(rows: Array, clusters: "pd.Series[Any]") -> Array:
    """Return the sums of rows [n, k] over each cluster [clusters, k], in the order of the clusters' names."""
    names, place = np.unique(clusters.to_numpy(str), return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, place, rows)
    return sums


def _chunks(draws: int) -> Iterator[int]:
    for start in range(0, draws, _CHUNK):
        yield min(_CHUNK, draws - start)


def _ratio(total: Array, count: Array) -> Array:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
