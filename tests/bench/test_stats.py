"""Intervals and tests against known numbers, exhaustive counts and closed forms."""

import itertools

import numpy as np
import pandas as pd
import pytest

from spf_bench.stats import bootstrap, compare, holm, jackknife, permutation_p, resamples


def ids(n: int) -> list[str]:
    return [f"t{i:04}" for i in range(n)]


@pytest.fixture(scope="module")
def pair() -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(0)
    a = rng.normal(0.30, 0.05, 500)
    b = a - 0.01 + rng.normal(0, 0.02, 500)
    return pd.Series(a, ids(500)), pd.Series(b, ids(500))


def test_paired_difference(pair):
    difference = compare(*pair)
    assert difference.n == 500 and difference.value == pytest.approx(0.0114, abs=5e-5)
    assert difference.low == pytest.approx(0.0097, abs=1e-4)
    assert difference.high == pytest.approx(0.0130, abs=1e-4)
    assert difference.p == pytest.approx(1 / 10_001)


def test_pairing_narrows_the_interval(pair):
    paired, (a, b) = compare(*pair), pair
    apart = [bootstrap(s.to_frame("s"))["s"] for s in (a, b)]
    width = sum(((e.high - e.low) / 2) ** 2 for e in apart) ** 0.5 * 2
    assert width / (paired.high - paired.low) == pytest.approx(3.9, abs=0.2)


def test_normal_interval_for_a_large_sample(pair):
    a = pair[0]
    estimate, error = bootstrap(a.to_frame("a"))["a"], 1.96 * a.std() / 500**0.5
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (a.mean(), a.mean() - error, a.mean() + error), abs=2e-4
    )


def test_same_seed_same_interval_and_order_means_nothing(pair):
    frame = pd.DataFrame({"a": pair[0], "b": pair[1]})
    first = bootstrap(frame, draws=500)
    assert bootstrap(frame.sample(frac=1, random_state=3), draws=500) == first
    assert bootstrap(frame, draws=500, seed=1) != first
    assert compare(pair[0][::-1], pair[1]) == compare(*pair)


def test_constant_scores_have_a_zero_width_interval():
    estimate = bootstrap(pd.DataFrame({"x": [0.1] * 30}, ids(30)), draws=200)["x"]
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.1, 0.1, 0.1), abs=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_one_unit_has_no_interval(clustered):
    n = 4 if clustered else 1
    frame = pd.DataFrame({"x": [0.1, 0.2, 0.3, 0.4][:n], "none": np.nan}, ids(n))
    clusters = pd.Series("same", ids(n)) if clustered else None
    found = bootstrap(frame, draws=50, clusters=clusters)["x"]
    assert found.n == n and found.value == pytest.approx(frame["x"].mean()) and np.isnan([found.low, found.high]).all()
    frame.loc["t9"] = [0.5, 1.0]
    clusters = None if clusters is None else clusters.reindex(frame.index, fill_value="other")
    found = bootstrap(frame, draws=50, clusters=clusters)
    assert found["x"].low < found["x"].high and np.isnan(found["none"].low)


def test_missing_scores_are_left_out_not_counted_as_zero():
    frame = pd.DataFrame({"some": [1.0, np.nan, 3.0], "none": [np.nan] * 3}, ids(3))
    estimates = bootstrap(frame, draws=300)
    assert (estimates["some"].n, estimates["some"].value) == (2, 2.0)
    assert 1.0 <= estimates["some"].low <= estimates["some"].high <= 3.0
    assert estimates["none"].n == 0 and np.isnan([estimates["none"].value, estimates["none"].low]).all()


def test_only_shared_ids_are_compared():
    a, b = pd.Series([1.0, 2.0, 9.0], ["x", "y", "z"]), pd.Series([2.0, 0.5, np.nan], ["y", "x", "z"])
    difference = compare(a, b, draws=100)
    assert (difference.n, difference.value) == (2, 0.25)


def test_every_resample_draws_n_rows():
    counts = np.concatenate(list(resamples(7, 1_200, seed=0)))
    assert counts.shape == (1_200, 7) and (counts.sum(1) == 7).all()
    assert counts.mean(0) == pytest.approx(np.ones(7), abs=0.1)


def test_permutation_p_against_all_signs():
    d = np.array([0.9, -0.2, 0.4, 1.1, 0.3, -0.1, 0.8, 0.5])
    signs = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = (np.abs(signs @ d) >= abs(d.sum()) - 1e-12).mean()
    assert permutation_p(d) == pytest.approx(exact, abs=0.01)
    assert permutation_p(-d) == permutation_p(d)
    assert permutation_p(np.zeros(5)) == 1.0
    assert np.isnan(permutation_p(np.array([])))


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_jackknife_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(0).normal(size=2_000)
    low, high = jackknife(lambda rows: float(x[rows].mean()), len(x), folds=200)
    assert (low + high) / 2 == pytest.approx(x.mean())
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 2_000**0.5, rel=0.15)


def test_jackknife_needs_two_rows_a_fold():
    assert np.isnan(jackknife(lambda rows: 0.0, 39)).all()


def test_rows_of_one_cluster_are_drawn_and_flipped_together(pair):
    difference = pair[0] - pair[1]
    copies = [difference.rename(lambda name, k=k: f"{name}-{k}") for k in range(4)]
    rows = pd.concat(copies)
    clusters = pd.Series([name.rsplit("-", 1)[0] for name in rows.index], rows.index)
    nothing = rows * 0
    together, apart = compare(rows, nothing, clusters=clusters), compare(rows, nothing)
    once = compare(difference, difference * 0)
    assert together.n == 2000 and (together.low, together.high) == pytest.approx((once.low, once.high))
    assert together.p == once.p
    assert apart.high - apart.low == pytest.approx((once.high - once.low) / 2, rel=0.05)  # four copies tell no more


def test_a_cluster_with_missing_rows_counts_those_it_has():
    rows = pd.DataFrame({"x": [1.0, np.nan, 3.0, 5.0]}, ["a-1", "a-2", "b-1", "b-2"])
    clusters = pd.Series(["a", "a", "b", "b"], rows.index)
    estimate = bootstrap(rows, clusters=clusters)["x"]
    assert (estimate.n, estimate.value) == (3, 3.0) and (estimate.low, estimate.high) == (1.0, 4.0)


def test_jackknife_leaves_clusters_out_whole():
    values = np.repeat(np.random.default_rng(0).normal(size=60), 5)
    clusters = [f"t{i:03}" for i in range(60) for _ in range(5)]
    once = jackknife(lambda rows: float(values[::5][rows].mean()), 60)
    assert jackknife(lambda rows: float(values[rows].mean()), 300, clusters=clusters) == pytest.approx(once)
    assert np.isnan(jackknife(lambda rows: 0.0, 100, clusters=["t"] * 100)).all()
