"""One method trained with several seeds: its mean, and an interval that covers seeds and test cases.

Two things vary. Test cases: half the width of the bootstrap interval of each case's mean over the seeds (of a set
metric: the mean half width over seeds, for the seeds share their test cases). Seeds: Student's t at 95 % times the
standard error of the seeds' values. The half width given is the root of the sum of their squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import hypot, isfinite
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.record import RunRecord, Score
from spf_bench.table.model import ALL, Entry

if TYPE_CHECKING:
    import pandas as pd

_LABELS = ["category", "origin"]
"""Columns of the scores per triple that are no scores."""
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
    """Return runs that differ in their seed alone as one row called ``title``."""
    first, frame = entries[0].record, mean_frame(entries)
    scores = {part: _merged(entries, frame, part) for part in first.scores}
    method = replace(first.method, title=title, changes=[])
    return Merged(replace(first, method=method, seed=None, scores=scores), entries[0].folder, frame)


def merge_all(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Return the runs of a table with the seeds of each method as one row, and what a reader must know of that."""
    alike = sorted(enumerate(entries), key=lambda e: (_kind(e[1].record), e[0]))
    sets = [list(group) for _, group in groupby(alike, key=lambda e: _kind(e[1].record))]
    rows, told = list[Entry](), dict[int, list[str]]()
    for group in sorted(sets, key=lambda group: group[0][0]):
        runs = sorted((entry for _, entry in group), key=lambda entry: entry.record.seed or 0)
        merged, method = merge(runs, runs[0].record.method.title), runs[0].record.method
        kept = replace(merged.record, method=replace(merged.record.method, changes=method.changes))
        rows.append(replace(merged, record=kept))
        if runs[0].record.seed is not None:
            told.setdefault(len(runs), []).append(method.title)
    means = [f"mean of {n} seed{'s' if n > 1 else ''}: {', '.join(titles)}" for n, titles in sorted(told.items())]
    return rows, [*means, *([NOTE] if any(n > 1 for n in told) else [])]


def _kind(record: RunRecord) -> tuple[Any, ...]:
    return (record.method.name, record.preset or "", *record.method.changes)


def _merged(entries: Sequence[Entry], frame: "pd.DataFrame", part: str) -> dict[str, Score]:
    """Return the scores of one category or step, or of all."""
    rows = frame if part == ALL else frame[frame["category"] == part]
    halves = {**_set_halves(entries, part), **_case_halves(rows)}
    found = entries[0].record.scores[part]
    return {key: _score(_values(entries, key, part), halves.get(key), like) for key, like in found.items()}


def differences(entries: Sequence[Entry], reference: Sequence[Entry], part: str = ALL) -> dict[str, Score]:
    """Return by how much runs differ from others: every score of ``entries`` minus that of ``reference``.

    Test cases are compared one by one and seeds pairwise; of a set metric both half widths are added in squares.

    Args:
        entries: Runs of one method, in the order of their seeds.
        reference: Runs of another with the same seeds, or the one run of a method that does not train.
        part: Of which category, or step of a sequence.
    """
    theirs = list(reference) * len(entries) if len(reference) == 1 else list(reference)
    sets = _set_halves(theirs, part)
    halves = {key: hypot(half, sets[key]) for key, half in _set_halves(entries, part).items() if key in sets}
    mine, other = (mean_frame(side) for side in (entries, theirs))
    rows = _minus(mine, other)
    halves |= _case_halves(rows if part == ALL else rows[rows["category"] == part])
    found = {}
    for key, like in entries[0].record.scores[part].items():
        pairs = zip(_values(entries, key, part), _values(theirs, key, part), strict=True)
        gaps = [None if a is None or b is None else a - b for a, b in pairs]
        found[key] = _score(gaps, halves.get(key), replace(like, reason=None))
    return found


def mean_frame(entries: Sequence[Entry]) -> "pd.DataFrame":
    """Return each test case's mean over the runs, NaN where one of them was not measured.

    Raises:
        UserError: A run's scores per triple are not there.
    """
    frames = [frame.sort_index() for entry in entries if (frame := entry.scores()) is not None]
    if len(frames) < len(entries):
        why = "its scores.parquet is missing; a mean over seeds needs the scores of each triple"
        raise UserError(f"{entries[0].record.method.title} cannot be averaged", why, entries[0].record.command)
    found = [frame.drop(columns=_LABELS, errors="ignore") for frame in frames]
    labels = frames[0][[name for name in _LABELS if name in frames[0]]]
    return (sum(found[1:], start=found[0]) / len(found)).assign(**{str(n): labels[n] for n in labels})


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


def _values(entries: Sequence[Entry], key: str, part: str = ALL) -> list[float | None]:
    return [entry.record.scores[part][key].mean for entry in entries]


def _minus(mine: "pd.DataFrame", other: "pd.DataFrame") -> "pd.DataFrame":
    """Return the differences of two frames, row by row, with the labels of the rows."""
    labels = {name: mine[name] for name in _LABELS if name in mine}
    numbers = (frame.drop(columns=_LABELS, errors="ignore") for frame in (mine, other))
    return (next(numbers) - next(numbers)).assign(**labels)


def _case_halves(frame: "pd.DataFrame") -> Mapping[str, float]:
    """Return half the bootstrap interval of every column's mean over test cases."""
    from spf_bench.stats import bootstrap

    estimates = bootstrap(frame.drop(columns=_LABELS, errors="ignore"), clusters=frame.get("origin"))
    halves = {key: (estimate.high - estimate.low) / 2 for key, estimate in estimates.items()}
    return {key: half for key, half in halves.items() if isfinite(half)}


def _set_halves(entries: Sequence[Entry], part: str = ALL) -> dict[str, float]:
    """Return the mean half width of every score that has one."""
    halves: dict[str, float] = {}
    for key in entries[0].record.scores[part]:
        ends = [(s.lo, s.hi) for entry in entries if (s := entry.record.scores[part][key])]
        known = [(hi - lo) / 2 for lo, hi in ends if lo is not None and hi is not None]
        if len(known) == len(entries):
            halves[key] = fmean(known)
    return halves
