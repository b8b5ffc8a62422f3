"""One method trained with several seeds: its mean, and an interval that covers seeds and test cases.

Two things vary. Test cases: half the width of the bootstrap interval of each case's mean over the seeds (of a set
metric: the mean half width over seeds, for the seeds share their test cases). Seeds: Student's t at 95 % times the
standard error of the seeds' values. The half width given is the root of the sum of their squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import hypot
from typing import TYPE_CHECKING, Any

from spf_bench.record import RunRecord, Score
from spf_bench.table.model import ALL, Entry
from spf_bench.table.together import LABELS, case_halves, least, mean_frame, mean_of, score_of, set_halves, values_of

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
    """Return runs that differ in their seed alone as one row called ``title``."""
    first, frame = entries[0].record, mean_frame(entries)
    scores = {part: _merged(entries, frame, part) for part in first.scores}
    method = replace(first.method, title=title, changes=[])
    where = replace(first.environment, dirty=_dirty(entries))
    merged = replace(first, method=method, seed=None, scores=scores, environment=where, scored_in=None)
    return Merged(merged, entries[0].folder, frame)


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
            changed = f" ({', '.join(method.changes)})" if method.changes else ""
            told.setdefault(len(runs), []).append(method.title + changed)
    means = [f"mean of {n} seed{'s' if n > 1 else ''}: {', '.join(titles)}" for n, titles in sorted(told.items())]
    return rows, [*means, *([NOTE] if any(n > 1 for n in told) else [])]


def _dirty(entries: Sequence[Entry]) -> bool | None:
    """Return whether any of the runs was made with uncommitted changes; None where nobody knows."""
    told = [entry.record.dirty for entry in entries]
    return True if True in told else None if None in told else False


def _kind(record: RunRecord) -> tuple[Any, ...]:
    return (record.method.name, record.preset or "", *record.method.changes)


def _merged(entries: Sequence[Entry], frame: "pd.DataFrame", part: str) -> dict[str, Score]:
    """Return the scores of one category or step, or of all."""
    rows = frame if part == ALL else frame[frame["category"] == part]
    halves = {**set_halves(entries, part), **case_halves(rows)}
    found = entries[0].record.scores[part]
    known = least(entries, rows, part)
    return {key: score_of(values_of(entries, key, part), halves.get(key), known[key]) for key in found}


def differences(entries: Sequence[Entry], reference: Sequence[Entry], part: str = ALL) -> dict[str, Score]:
    """Return by how much runs differ from others: every score of ``entries`` minus that of ``reference``.

    Test cases are compared one by one and seeds pairwise; of a set metric both half widths are added in squares.

    Args:
        entries: Runs of one method, in the order of their seeds.
        reference: Runs of another with the same seeds, or the one run of a method that does not train.
        part: Of which category, or step of a sequence.
    """
    theirs = list(reference) * len(entries) if len(reference) == 1 else list(reference)
    sets = set_halves(theirs, part)
    halves = {key: hypot(half, sets[key]) for key, half in set_halves(entries, part).items() if key in sets}
    seeds = [_gaps(mine, other, part) for mine, other in zip(entries, theirs, strict=True)]
    rows = mean_of(seeds)
    halves |= case_halves(rows)
    found = {}
    for key, like in least([*entries, *theirs], rows, part).items():
        pairs = zip(seeds, values_of(entries, key, part), values_of(theirs, key, part), strict=True)
        gaps = [_gap(key, *pair) for pair in pairs]
        found[key] = score_of(gaps, halves.get(key), like if like.missing else replace(like, reason=None))
    return found


def _minus(mine: "pd.DataFrame", other: "pd.DataFrame") -> "pd.DataFrame":
    """Return the differences of two frames, row by row, with the labels of the rows."""
    labels = {name: mine[name] for name in LABELS if name in mine}
    numbers = (frame.drop(columns=LABELS, errors="ignore") for frame in (mine, other))
    return (next(numbers) - next(numbers)).assign(**labels)


def _gaps(mine: Entry, other: Entry, part: str) -> "pd.DataFrame":
    """Return what each test case's score in one run is above that in another; of one category or step, or all."""
    rows = _minus(mean_frame([mine]), mean_frame([other]))
    return rows if part == ALL else rows[rows["category"] == part]


def _gap(key: str, rows: "pd.DataFrame", mine: float | None, other: float | None) -> float | None:
    """Return how far two means lie apart: over the test cases measured in both, where each has a score."""
    if key in rows:
        known = rows[key].dropna()
        return float(known.mean()) if len(known) else None
    return None if mine is None or other is None else mine - other
