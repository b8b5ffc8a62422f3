"""One method trained with several seeds: its mean, and an interval that covers seeds and test cases.

Two things vary. Test cases: half the width of the bootstrap interval of each case's mean over the seeds (of a set
metric: the mean half width over seeds, for the seeds share their test cases). Seeds: Student's t at 95 % times the
standard error of the seeds' values. The half width given is the root of the sum of their squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, isfinite
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from spf_bench.record import Score
from spf_bench.table import ALL, Entry

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "± here covers seeds and triples: Student's t over the values per seed, and the bootstrap of each triple's mean "
    "over seeds (FID: the mean jackknife), added in squares"
)


@dataclass(frozen=True)
class Merged(Entry):
    """Runs of one method that differ in their seed alone, as one row of a table."""

    frame: "pd.DataFrame"
    """Each test case's mean over the seeds."""

    def scores(self) -> "pd.DataFrame":
        """Return each test case's mean scores over the seeds."""
        return self.frame


def merge(entries: Sequence[Entry], title: str) -> Merged:
    """Return runs that differ in their seed alone as one row called ``title``, over all categories."""
    first, frame = entries[0].record, mean_frame(entries)
    halves = {**_set_halves(entries), **_case_halves(frame)}
    scores = {key: _score(_values(entries, key), halves.get(key), like) for key, like in first.scores[ALL].items()}
    method = replace(first.method, title=title, changes=[])
    return Merged(replace(first, method=method, seed=None, scores={ALL: scores}), entries[0].folder, frame)


def differences(entries: Sequence[Entry], reference: Sequence[Entry]) -> dict[str, Score]:
    """Return by how much runs differ from others: every score of ``entries`` minus that of ``reference``.

    Test cases are compared one by one and seeds pairwise; of a set metric both half widths are added in squares.

    Args:
        entries: Runs of one method, in the order of their seeds.
        reference: Runs of another with the same seeds, or the one run of a method that does not train.
    """
    theirs = list(reference) * len(entries) if len(reference) == 1 else list(reference)
    sets = _set_halves(theirs)
    halves = {key: hypot(half, sets[key]) for key, half in _set_halves(entries).items() if key in sets}
    mine, other = (mean_frame(side).drop(columns="category") for side in (entries, theirs))
    halves |= _case_halves(mine - other)
    found = {}
    for key, like in entries[0].record.scores[ALL].items():
        pairs = zip(_values(entries, key), _values(theirs, key), strict=True)
        gaps = [None if a is None or b is None else a - b for a, b in pairs]
        found[key] = _score(gaps, halves.get(key), replace(like, reason=None))
    return found


def mean_frame(entries: Sequence[Entry]) -> "pd.DataFrame":
    """Return each test case's mean over the runs, NaN where one of them was not measured."""
    frames = [frame.sort_index() for entry in entries if (frame := entry.scores()) is not None]
    numbers = [frame.drop(columns="category") for frame in frames]
    return (sum(numbers[1:], start=numbers[0]) / len(numbers)).assign(category=frames[0]["category"])


def seed_half(values: Sequence[float]) -> float:
    """Return half the width of Student's 95 % interval of the mean of some seeds' values; 0 for a single seed."""
    from scipy.stats import t

    from spf_bench.stats import LEVEL

    if len(values) < 2:
        return 0.0
    return float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5


def _score(values: Sequence[float | None], half: float | None, like: Score) -> Score:
    """Return the mean over seeds; None where a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return replace(like, mean=None, lo=None, hi=None)
    if half is None:
        return replace(like, mean=fmean(known), lo=None, hi=None)
    whole = hypot(half, seed_half(known))
    return replace(like, mean=fmean(known), lo=fmean(known) - whole, hi=fmean(known) + whole)


def _values(entries: Sequence[Entry], key: str) -> list[float | None]:
    return [entry.record.scores[ALL][key].mean for entry in entries]


def _case_halves(frame: "pd.DataFrame") -> Mapping[str, float]:
    """Return half the bootstrap interval of every column's mean over test cases."""
    from spf_bench.stats import bootstrap

    estimates = bootstrap(frame.drop(columns="category", errors="ignore"))
    halves = {key: (estimate.high - estimate.low) / 2 for key, estimate in estimates.items()}
    return {key: half for key, half in halves.items() if isfinite(half)}


def _set_halves(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the mean half width of every score that has one."""
    halves: dict[str, float] = {}
    for key in entries[0].record.scores[ALL]:
        ends = [(s.lo, s.hi) for entry in entries if (s := entry.record.scores[ALL][key])]
        known = [(hi - lo) / 2 for lo, hi in ends if lo is not None and hi is not None]
        if len(known) == len(entries):
            halves[key] = fmean(known)
    return halves
