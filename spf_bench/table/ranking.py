"""Who has responded at all, and who is best and second in a column."""

from collections.abc import Iterable, Sequence
from math import isnan
from typing import TYPE_CHECKING, NamedTuple

from spf_bench.record import Column, RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from spf_bench.table.model import Entry

RESPONSE = "clip_t"
"""The score that must rise above the original portrait's for a method to have responded."""
SILENT = ("retention",)
"""Tracks that ask for no response, so that nobody can fail to give it."""


class Places(NamedTuple):
    """The winners of a column, by the names of their runs."""

    best: frozenset[str] = frozenset()
    """Nobody prints a better number; empty where fewer than two compete."""
    second: frozenset[str] = frozenset()
    """Only the best prints a better one; empty where fewer than three compete, or where two share the best."""


def places(ranked: Iterable[RunRecord], column: Column, category: str) -> Places:
    """Return who is best and second of the runs that compete: equal as printed is equal."""
    values = {r.run: _printed(r, column, category) for r in ranked}
    competing = {run: value for run, value in values.items() if value is not None}
    if len(competing) < 2:
        return Places()
    order = sorted(set(competing.values()), reverse=column.higher_is_better)
    best, second = (frozenset(run for run, value in competing.items() if value in order[i : i + 1]) for i in range(2))
    return Places(best, second if len(competing) > 2 and len(best) == 1 else frozenset())


def unresponsive(entries: Sequence["Entry"], category: str) -> set[str] | None:
    """Return the runs whose response is not above the original's; None where there is no original to tell by."""
    import pandas as pd

    from spf_bench.table.differences import estimates

    if entries[0].record.track in SILENT:
        return set()
    frames = {entry.record.run: _response(entry, category) for entry in entries}
    originals = [frames[entry.record.run] for entry in entries if entry.record.method.reference]
    if not originals or (reference := originals[0]) is None:
        return None
    methods = [entry.record.run for entry in entries if not entry.record.method.reference]
    gaps = {run: f[RESPONSE] - reference[RESPONSE] for run in methods if (f := frames[run]) is not None}
    found = estimates(pd.DataFrame(gaps), clusters=reference.get("origin"))
    # One triple has no interval: then its own difference tells.
    return {run for run, gap in found.items() if not (gap.value if isnan(gap.low) else gap.low) > 0}


def _response(entry: "Entry", category: str) -> "pd.DataFrame | None":
    frame = entry.scores()
    if frame is None or RESPONSE not in frame:
        return None
    return frame if category == "all" else frame[frame["category"] == category]


def _printed(record: RunRecord, column: Column, category: str) -> float | None:
    """Return a score as it is printed; None where it was not measured on every triple."""
    score = record.scores.get(category, {}).get(column.key)
    return None if score is None or score.mean is None or score.missing else round(score.mean, column.decimals)
