"""How much a score varies from triple to triple: what the paper calls unstable."""

from collections.abc import Sequence

import numpy as np

from spf_bench.record import Score
from spf_bench.stats import DRAWS, SEED, interval, resamples
from spf_bench.table.model import Entry
from spf_bench.table.together import mean_frame


def spread_differences(entries: Sequence[Entry], others: Sequence[Entry], keys: Sequence[str]) -> dict[str, Score]:
    """Return by how much the standard deviation over triples of some scores is above that of other runs.

    Of several seeds each triple's mean is taken; the interval is a paired bootstrap over triples.

    Args:
        entries: Runs of one method.
        others: Runs of another, in the same order of seeds.
        keys: The scores; those that are not there, or not measured on every triple, are left out.
    """
    found = {}
    mine, theirs = mean_frame(entries), mean_frame(others)
    for key in (key for key in keys if key in mine and key in theirs):
        pair = np.stack([frame[key].to_numpy(float) for frame in (mine, theirs)], axis=1)
        if not np.isnan(pair).any():
            n = len(pair)
            draws = np.concatenate([_gap(counts, pair) for counts in resamples(n, DRAWS, SEED)])
            (low,), (high,) = interval(draws[:, None])
            found[key] = Score(float(_gap(np.ones((1, n)), pair)[0]), float(low), float(high), n, 0, None)
    return found


def _gap(counts: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the first column minus that of the second, of each resample [draws, n]."""
    share = counts / counts.sum(1, keepdims=True)
    centred = pair - pair.mean(0)
    deviation = np.sqrt(np.maximum(share @ np.square(centred) - np.square(share @ centred), 0))
    return deviation[:, 0] - deviation[:, 1]
