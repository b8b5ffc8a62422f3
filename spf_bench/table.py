"""Which runs may stand in one table, which of them wins a column, and which have not responded at all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.record import RECORD, SCORES, Column, RunRecord, Score
from spf_bench.triple import Category

if TYPE_CHECKING:
    import pandas as pd

RESPONSE = "clip_t"
"""The score that must rise above the original portrait's for a method to have responded."""
ALL = "all"


@dataclass(frozen=True)
class Entry:
    """A finished run as a table needs it."""

    record: RunRecord
    """What ran and what came out."""
    folder: Path
    """Where its scores per triple lie."""

    def scores(self) -> "pd.DataFrame | None":
        """Return its scores per triple; None where only the record was kept."""
        import pandas as pd

        path = self.folder / SCORES
        return pd.read_parquet(path) if path.is_file() else None


@dataclass(frozen=True)
class Cell:
    """One number of a table."""

    score: Score
    """The number and what it rests on."""
    best: bool
    """Whether no comparable row has a better one."""
    partial: bool
    """Whether triples are missing from it, so that it rests on another n than its column."""


@dataclass(frozen=True)
class Row:
    """One method."""

    label: str
    """Its name in print, with preset and seed where they matter."""
    record: RunRecord
    """The run it stands for."""
    cells: dict[str, Cell]
    """By the key of the score; a score it does not have is absent."""
    unresponsive: bool
    """Whether its response is not above the original portrait's: over-aligned, never ranked."""


@dataclass(frozen=True)
class Table:
    """Runs that may be compared: one suite, one test set, one n, one sampling, one way of scoring."""

    heading: str
    """What they have in common, n included."""
    columns: tuple[Column, ...]
    """In the order of print."""
    rows: tuple[Row, ...]
    """The original first, then methods that do not train, then the rest."""
    notes: tuple[str, ...]
    """What a reader must know beside the numbers."""
    n: int
    """Triples behind every number that is not marked."""
    category: str
    """The category the numbers are of, or ``all``."""


def collect(folder: Path) -> list[Entry]:
    """Read every record below ``folder``.

    Raises:
        UserError: There is none.
    """
    paths = sorted(folder.rglob(RECORD)) if folder.is_dir() else []
    if not paths:
        fix = "spf-bench run --method spf, or name another folder with --runs"
        raise UserError(f"no finished run in {folder}", "a table is made of run records", fix)
    return [Entry(RunRecord.load(path), path.parent) for path in paths]


def build(entries: Iterable[Entry], by_category: bool = False) -> list[Table]:
    """Return one table for each set of runs that may be compared, or one for each of its categories."""
    tables = []
    for _, group in groupby(sorted(entries, key=_comparable), key=_comparable):
        newest, notes = _newest(list(group))
        categories: list[str] = [ALL, *Category] if by_category else [ALL]
        tables += [table_of(newest, str(c), notes) for c in categories if str(c) in newest[0].record.scores]
    return tables


def _comparable(entry: Entry) -> tuple[str, ...]:
    r = entry.record
    return (r.suite, r.testset.name, r.testset.sha256, f"{r.n:09}", str(r.sampling), r.weights["pipeline"], r.scoring)


def _newest(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Keep the newest run of each method, its changed settings, preset and seed; say which were left out."""
    kept: dict[tuple[Any, ...], Entry] = {}
    notes = []
    for entry in sorted(entries, key=lambda e: e.record.created):
        r = entry.record
        old = kept.pop(key := (r.method.name, r.preset, r.seed, *r.method.changes), None)
        notes += [f"older run left out: {old.record.run}"] if old else []
        kept[key] = entry
    order = sorted(kept.values(), key=lambda e: (not e.record.method.reference, e.record.method.trains))
    return order, notes


def table_of(entries: Sequence[Entry], category: str = ALL, notes: Iterable[str] = ()) -> Table:
    """Return one table of runs that may be compared, in this order."""
    records = [entry.record for entry in entries]
    columns = tuple({column.key: column for record in records for column in record.columns}.values())
    flagged = _unresponsive(entries, category)
    ranked = [r for r in records if not r.method.reference and r.run not in (flagged or ())]
    rows = tuple(
        Row(_label(r, records), r, _cells(r, ranked, columns, category), r.run in (flagged or ())) for r in records
    )
    n = max((s.n + s.missing for r in records for s in r.scores.get(category, {}).values()), default=0)
    first, of = records[0], "" if category == ALL else f", {Category(category).label}"
    heading = f"{first.testset.name}{of}: n = {n}, suite {first.suite}, {_sampled(first)}"
    notes = (*_explain(rows, columns), *_explain_flags(first, flagged), *notes)
    return Table(heading, columns, rows, notes, n, category)


def _sampled(record: RunRecord) -> str:
    s = record.sampling
    return f"{s.steps} steps of {s.scheduler} at guidance {s.guidance:g}, {s.dtype}"


def _label(record: RunRecord, others: Sequence[RunRecord]) -> str:
    same = [other for other in others if other.method.name == record.method.name]
    details = [record.preset] if record.preset not in (None, "default") else []
    if record.seed or len({other.seed for other in same}) > 1:
        details.append(f"seed {record.seed}")
    details += record.method.changes
    return record.method.title + (f" ({', '.join(map(str, details))})" if details else "")


def _unresponsive(entries: Sequence[Entry], category: str) -> set[str] | None:
    """Return the runs whose response is not above the original's; None where there is no original."""
    from spf_bench.stats import compare

    responses = {entry.record.run: _response(entry, category) for entry in entries}
    originals = [responses[entry.record.run] for entry in entries if entry.record.method.reference]
    if not originals or (original := originals[0]) is None:
        return None
    methods = [entry.record.run for entry in entries if not entry.record.method.reference]
    known = {run: response for run in methods if (response := responses[run]) is not None}
    return {run for run, response in known.items() if not compare(response, original).low > 0}


def _response(entry: Entry, category: str) -> "pd.Series[Any] | None":
    frame = entry.scores()
    if frame is None or RESPONSE not in frame:
        return None
    return frame[RESPONSE] if category == ALL else frame.loc[frame["category"] == category, RESPONSE]


def _cells(record: RunRecord, ranked: Sequence[RunRecord], columns: Iterable[Column], category: str) -> dict[str, Cell]:
    scores = record.scores.get(category, {})
    return {
        c.key: Cell(scores[c.key], _is_best(record, ranked, c, category), scores[c.key].missing > 0)
        for c in columns
        if c.key in scores
    }


def _is_best(record: RunRecord, ranked: Iterable[RunRecord], column: Column, category: str) -> bool:
    """Say whether no ranked run prints a better number; a run without competition wins nothing."""
    values = {r.run: _value(r, column, category) for r in ranked}
    competing = {run: value for run, value in values.items() if value is not None}
    if record.run not in competing or len(competing) < 2:
        return False
    return competing[record.run] == (max if column.higher_is_better else min)(competing.values())


def _value(record: RunRecord, column: Column, category: str) -> float | None:
    """Return a score as it is printed; None where it was not measured on every triple."""
    score = record.scores.get(category, {}).get(column.key)
    return None if score is None or score.mean is None or score.missing else round(score.mean, column.decimals)


def _explain_flags(first: RunRecord, flagged: set[str] | None) -> Iterator[str]:
    if flagged is None:
        command = first.command.replace(f"--method {first.method.name}", "--method original")
        yield f"over-alignment cannot be told without the original portraits: {command.split(' --preset')[0]}"
    if flagged:
        yield (
            "! over-aligned, not ranked: CLIP-T is not above the original portrait's (95 % interval of the paired "
            "difference), so the method has not responded"
        )


def _explain(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """Yield why cells are partial or to be read with care, each reason once a column."""
    for column in columns:
        scores = {row.label: row.cells[column.key].score for row in rows if column.key in row.cells}
        for reason in sorted({score.reason for score in scores.values() if score.reason}):
            about = {label: score for label, score in scores.items() if score.reason == reason}
            missing = [f"{label} lacks {score.missing}" for label, score in about.items() if score.missing]
            where = "" if missing or len(about) == len(rows) else f" ({', '.join(about)})"
            yield f"{column.title}{where}: {reason}" + (f" († {', '.join(missing)})" if missing else "")
