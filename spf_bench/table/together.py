"""What several runs come to together: the mean of each test case, what it rests on, and half the interval around it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot, isfinite
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from spf_bench.errors import UserError
from spf_bench.record import Score
from spf_bench.table.model import ALL, Entry

if TYPE_CHECKING:
    import pandas as pd

LABELS = ["category", "origin"]
"""Columns of the scores per triple that are no scores."""


def mean_frame(entries: Sequence[Entry]) -> "pd.DataFrame":
    """Return each test case's mean over the runs, NaN where one of them was not measured.

    Raises:
        UserError: A run's scores per triple are not there.
    """
    frames = [frame.sort_index() for entry in entries if (frame := entry.scores()) is not None]
    if len(frames) < len(entries):
        why = "its scores.parquet is missing; a mean over seeds needs the scores of each triple"
        raise UserError(f"{entries[0].record.method.title} cannot be averaged", why, entries[0].record.command)
    return mean_of(frames)


def mean_of(frames: "Sequence[pd.DataFrame]") -> "pd.DataFrame":
    """Return the mean of frames case by case, NaN where one of them has none, with the labels of the rows."""
    found = [frame.drop(columns=LABELS, errors="ignore") for frame in frames]
    labels = frames[0][[name for name in LABELS if name in frames[0]]]
    return (sum(found[1:], start=found[0]) / len(found)).assign(**{str(n): labels[n] for n in labels})


def seed_half(values: Sequence[float]) -> float:
    """Return half the width of Student's 95 % interval of the mean of some seeds' values; 0 for a single seed."""
    from scipy.stats import t

    from spf_bench.stats import LEVEL

    if len(values) < 2:
        return 0.0
    return float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5


def least(entries: Sequence[Entry], rows: "pd.DataFrame", part: str) -> dict[str, Score]:
    """Return by score what several runs rest on together: the cases measured in all of them, and why some are not."""
    found = {}
    for key in entries[0].record.scores.get(part, {}):
        sides = [score for entry in entries if (score := entry.record.scores.get(part, {}).get(key)) is not None]
        worst = max(sides, key=lambda score: score.missing)
        known = int(rows[key].notna().sum()) if key in rows else worst.n
        found[key] = replace(worst, n=known, missing=max(worst.missing, worst.n + worst.missing - known))
    return found


def score_of(values: Sequence[float | None], half: float | None, like: Score) -> Score:
    """Return the mean over seeds; None where a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return replace(like, mean=None, lo=None, hi=None)
    if half is None:
        return replace(like, mean=fmean(known), lo=None, hi=None)
    whole = hypot(half, seed_half(known))
    return replace(like, mean=fmean(known), lo=fmean(known) - whole, hi=fmean(known) + whole)


def values_of(entries: Sequence[Entry], key: str, part: str = ALL) -> list[float | None]:
    """Return each run's mean of one score; None where it, or the whole part, was not measured."""
    found = [entry.record.scores.get(part, {}).get(key) for entry in entries]
    return [None if score is None else score.mean for score in found]


def case_halves(frame: "pd.DataFrame") -> Mapping[str, float]:
    """Return half the bootstrap interval of every column's mean over test cases."""
    from spf_bench.stats import bootstrap

    estimates = bootstrap(frame.drop(columns=LABELS, errors="ignore"), clusters=frame.get("origin"))
    halves = {key: (estimate.high - estimate.low) / 2 for key, estimate in estimates.items()}
    return {key: half for key, half in halves.items() if isfinite(half)}


def set_halves(entries: Sequence[Entry], part: str = ALL) -> dict[str, float]:
    """Return the mean half width of every score that has one."""
    halves: dict[str, float] = {}
    for key in entries[0].record.scores.get(part, {}):
        ends = [(s.lo, s.hi) for entry in entries if (s := entry.record.scores.get(part, {}).get(key))]
        known = [(hi - lo) / 2 for lo, hi in ends if lo is not None and hi is not None]
        if len(known) == len(entries):
            halves[key] = fmean(known)
    return halves
