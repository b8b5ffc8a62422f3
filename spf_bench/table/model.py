"""Which runs may stand in one table, and in which rows and columns."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.plugins import reason
from spf_bench.record import RECORD, SCORES, Column, RunRecord, Score
from spf_bench.table.notes import Named, explain, explain_flags, extent, no_interval
from spf_bench.table.ranking import Responses, places, responses
from spf_bench.tracks import PARTS, Category, Place, Track

if TYPE_CHECKING:
    import pandas as pd

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
        if not path.is_file():
            return None
        try:
            return _scores(pd.read_parquet(path))
        except Exception as error:  # PyArrow has kinds of its own for a damaged file
            fix = "spf-bench run with its record's command scores its images again"
            raise UserError(f"{path} cannot be read", reason(error), fix) from error


@dataclass(frozen=True)
class Cell:
    """One number of a table."""

    score: Score
    """The number and what it rests on."""
    best: bool
    """Whether no comparable row has a better one."""
    partial: bool
    """Whether triples are missing from it, so that it rests on another n than its column."""
    second: bool = False
    """Whether only the best of the comparable rows has a better one."""


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
    unknown: bool = False
    """Whether its response was not measured triple by triple beside an original's that was: not ranked either."""

    @property
    def named(self) -> Named:
        """Its run with its name in print."""
        return self.label, self.record

    @property
    def competes(self) -> bool:
        """Whether it may win a column."""
        return not (self.record.method.reference or self.unresponsive or self.unknown)


@dataclass(frozen=True)
class Table:
    """Runs that may be compared: one suite, one test set, one track, one n, one sampling, one way of scoring."""

    heading: str
    """What they have in common, n included."""
    columns: tuple[Column, ...]
    """In the order of print."""
    rows: tuple[Row, ...]
    """The original first, then methods that do not train, then the rest."""
    notes: tuple[str, ...]
    """What a reader must know beside the numbers."""
    n: int
    """Portraits behind every number that is not marked."""
    category: str
    """The category, or step of a sequence, that the numbers are of, or ``all``."""


def collect(*folders: Path) -> list[Entry]:
    """Read every record below some folders, each once.

    Raises:
        UserError: There is none in one of them.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        paths = sorted(folder.rglob(RECORD)) if folder.is_dir() else []
        if not paths:
            fix = "spf-bench run --method spf, or name another folder"
            raise UserError(f"no finished run in {folder}", f"nothing below it is called {RECORD}", fix)
        found |= {path.resolve(): path for path in paths}
    return [Entry(RunRecord.load(path), path.parent) for path in found.values()]


def build(entries: Iterable[Entry], by_category: bool = False) -> list[Table]:
    """Return one table for each set of runs that may be compared, or one for each of its categories or steps."""
    tables = []
    for group, notes in groups(entries):
        parts: list[str] = [ALL, *map(str, PARTS)] if by_category else [ALL]
        tables += [table_of(group, part, notes) for part in parts if part in group[0].record.scores]
    return tables


def groups(entries: Iterable[Entry]) -> list[tuple[list[Entry], list[str]]]:
    """Return each set of runs that may be compared, the newest of each kind, and what was left out."""
    found = groupby(sorted(entries, key=comparable), key=comparable)
    return [_newest(list(group)) for _, group in found]


def comparable(entry: Entry) -> tuple[str, ...]:
    """Return what must be equal for two runs to stand in one table."""
    r = entry.record
    same = (r.suite, r.testset.name, r.testset.sha256, f"{_order(r)} {r.track}", f"{r.n:09}")
    return (*same, str(r.sampling), r.weights.get("pipeline", r.originals_sha256), r.scoring)


def _order(record: RunRecord) -> int:
    """Return the place of a record's track; what this version does not know comes last."""
    tracks = [track.value for track in Track]
    return tracks.index(record.track) if record.track in tracks else len(tracks)


def _newest(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Keep the newest run of each method, its changed settings, preset and seed; say which were left out.

    Of a run and its copies the one stays that has its images.
    """
    kept: dict[tuple[Any, ...], Entry] = {}
    notes = []
    for entry in sorted(entries, key=lambda e: (e.record.created, (e.folder / "images").is_dir())):
        r = entry.record
        old = kept.pop(key := (r.method.name, r.preset, r.seed, *r.method.changes), None)
        copied = old is not None and (old.record.run, old.record.created) == (r.run, r.created)
        notes += [f"older run left out: {old.record.run}"] if old and not copied else []
        kept[key] = entry
    return sorted(kept.values(), key=_rank(kept.values())), notes


def _rank(entries: Iterable[Entry]) -> Callable[[Entry], tuple[bool, bool, int, int, int]]:
    """Order runs: references, then what does not train; those of a method together, equal settings by seed."""
    first: dict[tuple[Any, ...], int] = {}
    for entry in entries:
        method = entry.record.method
        for key in ((method.name,), (method.name, entry.record.preset, *method.changes)):
            first.setdefault(key, len(first))

    def rank(entry: Entry) -> tuple[bool, bool, int, int, int]:
        method = entry.record.method
        variant = first[(method.name, entry.record.preset, *method.changes)]
        return not method.reference, method.trains, first[(method.name,)], variant, entry.record.seed or 0

    return rank


def table_of(entries: Sequence[Entry], category: str = ALL, notes: Iterable[str] = ()) -> Table:
    """Return one table of runs that may be compared, in this order."""
    records = [entry.record for entry in entries]
    columns = tuple({column.key: column for record in records for column in record.columns}.values())
    told = responses(entries, category)
    found = told or Responses()
    cells = _cells(records, found.unranked, columns, category)
    rows = tuple(
        Row(label(r, records), r, cells[r.run], r.run in found.silent, r.run in found.unknown) for r in records
    )
    n = max((s.n + s.missing for r in records for s in r.scores.get(category, {}).values()), default=0)
    said = (*explain(rows, columns), *no_interval(rows, columns), *explain_flags(rows, told is not None), *notes)
    return Table(_heading(records[0], category, n), columns, rows, said, n, category)


def _heading(record: RunRecord, category: str, n: int) -> str:
    about = Track(record.track).about if record.track in list(Track) else record.track
    which = ", ".join(filter(None, [record.testset.name, about, part_label(category)]))
    s = record.sampling
    sampled = f"{s.steps} steps of {s.scheduler} at guidance {s.guidance:g}, {s.dtype}" if s.steps else s.scheduler
    return f"{which}: {extent(record, n, category == ALL)}, suite {record.suite}, {sampled}"


def part_label(part: str) -> str:
    """Return a category or a step of a sequence in words; nothing for all of them."""
    kinds: tuple[type[Category | Place], ...] = (Category, Place)
    known = [kind(part).label for kind in kinds if part in list(kind)]
    return known[0] if known else "" if part == ALL else part


def label(record: RunRecord, others: Sequence[RunRecord]) -> str:
    """Return a run's name in print, with what tells it from ``others``."""
    same = [other for other in others if other.method.name == record.method.name]
    details = [record.preset] if record.preset not in (None, "default") else []
    if record.seed or len({other.seed for other in same}) > 1:
        details.append(f"seed {record.seed}")
    details += record.method.changes
    return record.method.title + (f" ({', '.join(map(str, details))})" if details else "")


def _scores(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return scores per triple; raises ValueError where ids repeat or a column that all have is not there."""
    if "category" not in frame or not frame.index.is_unique or not all(isinstance(one, str) for one in frame.index):
        raise ValueError("it has no ids, or some of them twice, or no categories")
    if strange := [
        name for name in frame if name not in ("category", "origin") and frame[name].dtype.kind not in "fiub"
    ]:
        raise ValueError(f"{strange[0]} holds no numbers")
    return frame


def _cells(
    records: Sequence[RunRecord], unranked: Set[str], columns: Iterable[Column], category: str
) -> dict[str, dict[str, Cell]]:
    """Return the cells of every run, by its name and the key of the score."""
    ranked = [r for r in records if not r.method.reference and r.run not in unranked]
    found: dict[str, dict[str, Cell]] = {r.run: {} for r in records}
    for column in columns:
        won = places(ranked, column, category)
        for r in records:
            score = r.scores.get(category, {}).get(column.key)
            if score is not None:
                cell = Cell(score, r.run in won.best, score.missing > 0, r.run in won.second)
                found[r.run][column.key] = cell
    return found
