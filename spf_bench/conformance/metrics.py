"""What every metric promises; each check says what it saw, or what is wrong and what mends it."""

import torch
from torch import Tensor

from spf_bench.conformance.check import Broken, Check, Skipped
from spf_bench.conformance.subject import N, Subject
from spf_bench.metrics.base import Group, Metric, SetMetric

TOLERANCE = 1e-4
"""What a score may move by with its batch, relative to its size where that is above 1."""


def declared(subject: Subject) -> str:
    """The facts are of the right kinds, and every reason for NaN belongs to a column."""
    metric = subject.metric
    low, high = metric.bounds
    if low is not None and high is not None and low >= high:
        raise Broken(f"its bounds are {metric.bounds}", "least and greatest value, None where there is none")
    if isinstance(metric, Metric) and (strange := set(metric.nan_means) - {metric.key, *metric.secondary}):
        raise Broken(f"nan_means names {', '.join(sorted(strange))}, which is no column", "name columns alone")
    names = [encoder.name for encoder in metric.encoders]
    if len(set(names)) < len(names):
        raise Broken(f"two of its networks are called {names}", "names are what features are kept under")
    return f"{metric.title}, {metric.source}" + (f"; looks through {', '.join(names)}" if names else "")


def shaped(subject: Subject) -> str:
    """A score per pair in every declared column, or a vector per image."""
    whole = subject.whole
    if isinstance(subject.metric, SetMetric):
        found = list(whole["features"].shape)
        if len(found) != 2 or found[0] != N:
            raise Broken(f"features() returned {found} for {N} images", f"return [{N}, D]")
        return f"{found[1]} numbers an image"
    return ", ".join(whole)


def repeatable(subject: Subject) -> str:
    """The same images give the same numbers."""
    again = subject.scores(range(N))
    for key, values in subject.whole.items():
        if not torch.allclose(values, again[key], rtol=0, atol=0, equal_nan=True):
            raise Broken(f"{key} is {_some(values)} at first and then {_some(again[key])}", "draw nothing at random")
    return "equal"


def batched(subject: Subject) -> str:
    """A batch of 4 equals 4 batches of 1."""
    single = [subject.scores([i]) for i in range(N)]
    return _alike(subject.whole, {key: torch.cat([row[key] for row in single]) for key in subject.whole}, "one by one")


def ordered(subject: Subject) -> str:
    """Reversed test cases give reversed scores."""
    reverse = subject.scores(range(N)[::-1])
    return _alike(subject.whole, {key: values.flip(0) for key, values in reverse.items()}, "in reverse order")


def bounded(subject: Subject) -> str:
    """The headline lies between its bounds."""
    known = subject.headline()
    known = known[~known.isnan()]
    low, high = subject.metric.bounds
    below = known < (-torch.inf if low is None else low) - TOLERANCE
    above = known > (torch.inf if high is None else high) + TOLERANCE
    if (below | above).any():
        raise Broken(f"{_some(known)} is not within {subject.metric.bounds}", "correct bounds, or the score")
    return _some(known) if len(known) else "nothing could be measured of these images"


def directed(subject: Subject) -> str:
    """An image with itself is preserved at least as well as with another."""
    metric = subject.metric
    if metric.group is not Group.preservation:
        raise Skipped(f"it speaks of {metric.group}")
    itself, other = subject.headline(itself=True), subject.headline()
    known = ~(itself.isnan() | other.isnan())
    if not known.any():
        raise Skipped("nothing could be measured of these images")
    gain = (itself - other)[known] * (1 if metric.higher_is_better else -1)
    if (gain < -TOLERANCE).any():
        why = f"an image with itself has {_some(itself)}, with another {_some(other)}"
        raise Broken(why, f"higher_is_better = {metric.higher_is_better} or the group may be wrong")
    return f"itself {_some(itself)}, another {_some(other)}"


def small(subject: Subject) -> str:
    """Too few images give NaN with a reason, not an exception: a category may hold a single one."""
    metric = subject.metric
    if not isinstance(metric, SetMetric):
        raise Skipped("it scores pair by pair")
    features = subject.whole["features"].float()
    score = metric.compare(features[:1], features[:1])
    if score.value != score.value and not score.note:
        raise Broken("one image gives NaN without a reason", "return SetScore(nan, reason)")
    return score.note or f"{score.value:g}"


CHECKS: tuple[Check[Subject], ...] = (
    Check("declared", declared),
    Check("columns", shaped, needs=("declared",)),
    Check("deterministic", repeatable, needs=("columns",)),
    Check("batch", batched, needs=("columns",)),
    Check("order", ordered, needs=("columns",)),
    Check("bounds", bounded, needs=("columns",)),
    Check("direction", directed, needs=("columns",)),
    Check("few images", small, needs=("columns",)),
)


def _alike(whole: dict[str, Tensor], others: dict[str, Tensor], how: str) -> str:
    for key, values in whole.items():
        other = others[key]
        if values.shape != other.shape or not torch.allclose(values, other, TOLERANCE, TOLERANCE, equal_nan=True):
            raise Broken(f"{key} is {_some(values)}, and {_some(other)} measured {how}", "treat every row by itself")
    return "equal"


def _some(values: Tensor) -> str:
    shown = [f"{value:.4g}" for value in values.flatten()[:N].tolist()]
    return "[" + ", ".join(shown) + (", ...]" if values.numel() > N else "]")
