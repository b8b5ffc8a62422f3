"""Bradley-Terry strengths of paired comparisons, for many resamples at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PRIOR = 1.0
"""Ties added to each pair that is compared: a method that always wins would be infinitely strong without."""
TOLERANCE, STEPS = 1e-8, 10_000
Array = NDArray[np.float64]


def strengths(labels: Sequence[str], pairs: Sequence[tuple[str, str]], votes: Array) -> Array:
    """Return natural logarithms of the strengths, mean 0 over the methods [..., labels].

    A tie is half a win for each. Source: Bradley and Terry, Biometrika 39 (1952); the iteration is Newman's, Journal of
    Machine Learning Research 24 (2023), Eq. 15.

    Args:
        labels: The methods.
        pairs: Those that were compared, each once.
        votes: For the first, for the second, ties [..., pairs, 3].
    """
    wins = _wins(labels, pairs, votes)
    power = np.ones(wins.shape[:-1])
    for _ in range(STEPS):
        before = np.log(power)
        for i in range(len(labels)):  # one after another: all at once, they would swing
            both = power[..., i, None] + power
            power[..., i] = (wins[..., i, :] * power / both).sum(-1) / (wins[..., :, i] / both).sum(-1)
        logs = np.log(power)
        power = np.exp(logs - logs.mean(-1, keepdims=True))
        if np.abs(np.log(power) - before).max() < TOLERANCE:
            break
    return np.log(power)


def _wins(labels: Sequence[str], pairs: Sequence[tuple[str, str]], votes: Array) -> Array:
    """Return how often the row's method won against the column's [..., labels, labels]."""
    place = {label: i for i, label in enumerate(labels)}
    wins = np.zeros((*votes.shape[:-2], len(labels), len(labels)))
    for number, (a, b) in enumerate(pairs):
        half = (votes[..., number, 2] + PRIOR) / 2
        wins[..., place[a], place[b]] = votes[..., number, 0] + half
        wins[..., place[b], place[a]] = votes[..., number, 1] + half
    return wins
