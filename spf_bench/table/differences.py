"""Paired differences of many rows at once: every resample and every draw of signs serves all of them.

The numbers are those of ``spf_bench.stats.compare`` on one difference after another, in a tenth of the time or less.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.stats import DRAWS, SEED, Difference, Estimate, bootstrap

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 500  # draws of signs held in memory at once

Array = NDArray[np.float64]


def estimates(gaps: "pd.DataFrame", clusters: "pd.Series[Any] | None" = None) -> dict[str, Estimate]:
    """Return the mean of every column of differences with its interval, over the triples measured in it.

    Args:
        gaps: Triples by id, a column per difference; NaN where one side was not measured.
        clusters: What each triple belongs to, by id; those of one cluster are drawn together. None: each its own.
    """
    return {name: value for part in _alike(gaps) for name, value in bootstrap(part, clusters=clusters).items()}


def compare_all(gaps: "pd.DataFrame", clusters: "pd.Series[Any] | None" = None) -> dict[str, Difference]:
    """Return `estimates` with the p of a two-sided sign-flip permutation test for each; NaN without triples."""
    found: dict[str, Difference] = {}
    for part in _alike(gaps):
        middle = bootstrap(part, clusters=clusters)
        chances = permutation_ps(_units(part, clusters))
        found |= {
            name: Difference(one.n, one.value, one.low, one.high, float(p))
            for (name, one), p in zip(middle.items(), chances, strict=True)
        }
    return found


def permutation_ps(units: Array, draws: int = DRAWS, seed: int = SEED) -> Array:
    """Return the p [k] of each column of paired differences [n, k] under random signs; NaN without rows."""
    if not len(units):
        return np.full(units.shape[1], np.nan)
    rng = np.random.default_rng(seed)
    observed = np.abs(units.sum(0)) * (1 - 1e-12)  # equal sums must count as equal despite rounding
    extreme = np.zeros(units.shape[1])
    for start in range(0, draws, CHUNK):
        signs = rng.choice([-1.0, 1.0], (min(CHUNK, draws - start), len(units)))
        extreme += (np.abs(signs @ units) >= observed).sum(0)
    p: Array = (1 + extreme) / (1 + draws)
    return p


def _alike(gaps: "pd.DataFrame") -> "Iterator[pd.DataFrame]":
    """Yield the columns that were measured on the same triples together, in the order of ids, without the others."""
    rows = gaps.sort_index()
    known = rows.notna().to_numpy()
    groups: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        groups.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield rows.iloc[known[:, columns[0]], columns]


def _units(part: "pd.DataFrame", clusters: "pd.Series[Any] | None") -> Array:
    """Return the sums [units, k] over each cluster."""
    if clusters is None or part.empty:
        return part.to_numpy(float)
    return part.groupby(clusters.loc[part.index].astype(str)).sum().to_numpy(float)
