"""Many paired differences at once are, number for number, those of one comparison after another."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from spf_bench.stats import compare
from spf_bench.table.differences import compare_all, estimates


@pytest.fixture
def gaps() -> pd.DataFrame:
    """Differences of 60 triples, not in order: columns whole, with the same holes, with others, and empty."""
    draw = np.random.default_rng(0)
    ids = draw.permutation([f"t{i:02}" for i in range(60)])
    frame = pd.DataFrame(draw.normal(0.02, 0.1, (60, 6)), index=ids, columns=list("abcdef"))
    frame.loc[ids[:7], ["c", "d"]] = np.nan
    frame.loc[ids[5:9], "e"] = np.nan
    frame["f"] = np.nan
    return frame


@pytest.mark.parametrize("steps", [None, 3])
def test_each_is_what_it_is_alone(gaps: pd.DataFrame, steps: int | None) -> None:
    clusters = None if steps is None else pd.Series([f"o{i // steps:02}" for i in range(60)], index=sorted(gaps.index))
    found = compare_all(gaps, clusters)
    middles = estimates(gaps, clusters)
    assert found.keys() == set("abcdef")
    for name, column in gaps.items():
        alone = compare(column, column * 0, clusters=clusters)
        assert astuple(found[name]) == pytest.approx(astuple(alone), rel=1e-12, nan_ok=True), name
        assert astuple(middles[name]) == pytest.approx(astuple(alone)[:-1], rel=1e-12, nan_ok=True), name
    assert 0 < found["a"].p < 1 and found["c"].n == 53


def test_nothing_to_compare_is_no_error() -> None:
    assert compare_all(pd.DataFrame()) == {}
