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


class Responses(NamedTuple):
    """Who may not win a column, by the names of the runs."""

    silent: frozenset[str] = frozenset()
    """Over-aligned: measured, and not above the original portrait's."""
    unknown: frozenset[str] = frozenset()
    """Not measured triple by triple beside an original that was: it cannot be told whether they have responded."""

    @property
    def unranked(self) -> frozenset[str]:
        """All of them."""
        return self.silent | self.unknown


def places(ranked: Iterable[RunRecord], column: Column, category: str) -> Places:
    """Return who is best and second of the runs that compete: equal as printed is equal."""
    values = {r.run: _printed(r, column, category) for r in ranked}
    competing = {run: value for run, value in values.items() if value is not None}
    if len(competing) < 2:
        return Places()
    order = sorted(set(competing.values()), reverse=column.higher_is_better)
    best, second = (frozenset(run for run, value in competing.items() if value in order[i : i + 1]) for i in range(2))
    return Places(best, second if len(competing) > 2 and len(best) == 1 else frozenset())


def responses(entries: Sequence["Entry"], category: str) -> Responses | None:
    """Return which methods have not responded, and of which that is unknown; None where there is nothing to tell by."""
    import pandas as pd

    from spf_bench.table.differences import estimates

    if entries[0].record.track in SILENT:
        return Responses()
    frames = {entry.record.run: _response(entry, category) for entry in entries}
    originals = [frames[entry.record.run] for entry in entries if entry.record.method.reference]
    if (reference := next((frame for frame in originals if frame is not None), None)) is None:
        return None
    methods = [entry.record.run for entry in entries if not entry.record.method.reference]
    gaps = {run: f[RESPONSE] - reference[RESPONSE] for run in methods if (f := frames[run]) is not None}
    found = estimates(pd.DataFrame(gaps), clusters=reference.get("origin"))
    # One triple has no interval: then its own difference tells.
    least = {run: gap.value if isnan(gap.low) else gap.low for run, gap in found.items()}
    told = {run: low > 0 for run, low in least.items() if not isnan(low)}
    silent = frozenset(run for run, above in told.items() if not above)
    return Responses(silent, frozenset(methods) - told.keys())


def _response(entry: "Entry", category: str) -> "pd.DataFrame | None":
    """Return a run's scores per triple; None where its response was measured on none of them."""
    frame = entry.scores()
    if frame is None or RESPONSE not in frame:
        return None
    frame = frame if category == "all" else frame[frame["category"] == category]
    return frame if frame[RESPONSE].notna().any() else None


def _printed(record: RunRecord, column: Column, category: str) -> float | None:
    """Return a score as it is printed; None where it was not measured on every triple."""
    score = record.scores.get(category, {}).get(column.key)
    return None if score is None or score.mean is None or score.missing else round(score.mean, column.decimals)
