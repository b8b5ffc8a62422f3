"""The sieve against sorting: the same candidates pass, to the last tie, whatever the chunks."""

import math
from fractions import Fraction

import numpy as np
import pytest

from spf_bench.trainset.histogram import BINS, histogram
from spf_bench.trainset.sieve import Sieve, keys, values


def sieve(scores: np.ndarray, groups: np.ndarray, share: float | None, floor: float | None = None) -> np.ndarray:
    """Who passes, asked in chunks of seven."""
    parts = range(0, len(scores), 7)
    everybody = np.ones(len(scores), bool)
    chunked = [lambda values=values: (values[i : i + 7] for i in parts) for values in (everybody, scores, groups)]
    return np.concatenate(list(Sieve(*chunked, share, floor).passes()))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.3, 0.1, 1.0])
def test_it_lets_the_best_of_each_group_pass(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    scores = np.round(rng.normal(size=n), 1 + seed % 3).astype(np.float32)  # rounded, so that some are equal
    scores[rng.random(n) < 0.1] = np.nan
    groups = rng.integers(0, 3, n).astype(np.uint8)
    found = sieve(scores, groups, share)
    for group in range(3):
        mine = [i for i in range(n) if groups[i] == group and np.isfinite(scores[i])]
        best = sorted(mine, key=lambda i: (-scores[i], i))[: math.ceil(Fraction(str(share)) * len(mine))]
        assert set(np.flatnonzero(found & (groups == group))) == set(best)


def test_thirty_per_cent_of_ten_are_three() -> None:
    scores = np.arange(10, dtype=np.float32)
    assert sieve(scores, np.zeros(10, np.uint8), 0.3).tolist() == [False] * 7 + [True] * 3


def test_zeros_of_either_sign_are_equal() -> None:
    scores = np.array([-0.0, 0.0, -0.0, -1.0], np.float32)
    assert sieve(scores, np.zeros(4, np.uint8), 0.5).tolist() == [True, True, False, False]


def test_a_floor_lets_its_own_value_pass() -> None:
    scores = np.array([0.1, 0.3, np.inf, np.nan, 0.2], np.float32)
    assert sieve(scores, np.zeros(5, np.uint8), None, 0.2).tolist() == [False, True, False, False, True]


def test_nobody_passes_where_nobody_has_a_score() -> None:
    assert not sieve(np.full(3, np.nan, np.float32), np.zeros(3, np.uint8), 0.5).any()


def test_keys_keep_the_order_and_can_be_undone() -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=1000).astype(np.float32) * np.float32(1e20))
    order = keys(scores)
    assert (np.diff(order.astype(np.int64)) >= 0).all()
    assert np.array_equal(values(order), scores)


def test_a_histogram_counts_all_and_those_kept() -> None:
    scores = np.array([0, 0.5, 1, np.nan, 1], np.float32)
    kept = np.array([True, False, True, False, False])
    found = histogram(lambda: iter([scores[:2], scores[2:]]), lambda: iter([kept[:2], kept[2:]]))
    assert found.edges[0] == 0 and found.edges[-1] == 1 and len(found.edges) == BINS + 1
    assert (found.scored[0], found.scored[-1], sum(found.scored)) == (1, 2, 4)
    assert (found.kept[0], found.kept[-1], sum(found.kept)) == (1, 1, 2)


def test_equal_scores_have_a_histogram() -> None:
    found = histogram(lambda: iter([np.ones(3, np.float32)]), lambda: iter([np.ones(3, bool)]))
    assert sum(found.scored) == 3
