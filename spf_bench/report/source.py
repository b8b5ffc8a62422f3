"""What a report is made of: the table it is about, the others, and the triples behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.record import CAPTIONS
from spf_bench.run.sampled import asked
from spf_bench.table.model import ALL, Entry, Row, Table, groups, table_of
from spf_bench.table.seeds import merge_all
from spf_bench.tracks import PARTS, Place, Step, Track
from spf_bench.triple import Category, Triple, Uncategorised


@dataclass(frozen=True)
class Source:
    """Everything read from the runs; nothing of it is changed."""

    table: Table
    """The table with most methods, and of those with most triples: what the page is about; of single triples if any."""
    categories: list[Table]
    """The same by category."""
    others: list[Table]
    """Runs that cannot be compared with these."""
    entries: dict[str, Entry]
    """The runs of ``table`` by name, in its order; of seeds that are one row, the first."""
    triples: tuple[Triple, ...]
    """What was asked in ``table``, in the order of the test set."""
    note: str | None
    """Why the triples have no texts; None where they have."""
    behind: Sequence[Entry]
    """The runs that ``table`` was made of, each seed apart."""

    @property
    def folders(self) -> dict[str, Path]:
        """Folders of the runs, by name."""
        return {entry.record.run: entry.folder for entry in self.behind}

    @cached_property
    def rows(self) -> Sequence[Row]:
        """A row for each run, where ``table`` may have one for all seeds."""
        return table_of(self.behind).rows

    @property
    def methods(self) -> int:
        """How many methods there are, the original portrait among them."""
        return len({entry.record.method.name for entry in self.behind})


def read(entries: Sequence[Entry], where: str | None = None, mean: bool = False) -> Source:
    """Return what a report of these runs is made of.

    Args:
        entries: Finished runs.
        where: Name or folder of the test set, where the runs' own name does not lead to it.
        mean: The seeds of a method as one row.

    Raises:
        UserError: The test set that was asked for is not the one of the runs.
    """
    found = groups(entries)
    main, left = max(found, key=lambda g: (g[0][0].record.track == Track.triples, len(g[0]), g[0][0].record.n))
    others = [table_of(*_shown(group, notes, mean)) for group, notes in found if group is not main]
    triples, note = _triples(main[0], where)
    rows, _, notes = _shown(main, left, mean)
    mine = {entry.record.run: entry for entry in rows}
    categories = [table_of(rows, part) for part in map(str, PARTS) if part in main[0].record.scores]
    return Source(table_of(rows, ALL, notes), categories, others, mine, triples, note, main)


def _shown(entries: Sequence[Entry], notes: Sequence[str], mean: bool) -> tuple[Sequence[Entry], str, Sequence[str]]:
    """Return what a table is made of: rows, their part of the test set, notes."""
    rows, said = merge_all(entries) if mean else (entries, [])
    return rows, ALL, [*said, *notes]


def _triples(entry: Entry, where: str | None) -> tuple[tuple[Triple, ...], str | None]:
    """Return what a run was asked; without its test set, ids and categories alone."""
    facts, own = entry.record.testset, entry.folder / CAPTIONS
    try:
        found = testset.load(where or (str(own) if own.is_dir() else facts.name))
        why = f"{found.folder} is another version than the runs used"
    except UserError as error:
        found, why = None, error.what
    if found is not None and found.sha256 == facts.sha256:
        return asked(entry.record, found), None
    if where is not None:
        raise UserError(f"{where} is not the test set of these runs", why, f"name the {facts.name} they were made with")
    frame = entry.scores()
    lines = [] if frame is None else list(frame["category"].sort_index().items())
    return tuple(_bare(str(key), str(part)) for key, part in lines), f"texts are missing: {why}"


def _bare(key: str, part: str) -> Triple:
    """Return a triple of which only its id and the part of the scores it belongs to are known."""
    if part in list(Place):
        return Step(key, "", "", Category.appearance, 0, (), place=Place(part))
    if part not in list(Category):
        return Uncategorised(key, "", "", Category.appearance, 0, ())
    return Triple(key, "", "", Category(part), 0, ())
