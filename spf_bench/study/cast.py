"""Who is compared in a study, and on which triples: read from finished runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.report.source import Source, read
from spf_bench.study import plan
from spf_bench.table.model import Row, collect
from spf_bench.tracks import Track
from spf_bench.triple import Triple, image

RUN = "spf-bench run --method {}"


@dataclass(frozen=True)
class Order:
    """What is wanted."""

    runs: Path
    """Folder of finished runs with their portraits."""
    to: Path
    """Folder of the study; must not exist, or be empty."""
    size: plan.Ask = field(default_factory=plan.Ask)
    """How large it is."""
    methods: tuple[str, ...] = ()
    """Who is compared; none: every method with portraits."""
    ours: str | None = None
    """Compare this one with each of the others, as the paper did; None: everyone with everyone."""
    minutes: float = 30.0
    """Time a participant has."""
    ties: bool = False
    """Whether ``equal`` may be answered."""
    static: bool = False
    """Whether to write the ballot that needs no server."""
    testset: str | None = None
    """Name or folder of the test set, where the runs' own name does not lead to it."""


@dataclass(frozen=True)
class Cast:
    """Who is compared on what."""

    reference: Row
    rows: dict[str, Row]
    """By label, in the order of the table."""
    pairs: list[tuple[str, str]]
    triples: tuple[Triple, ...]
    """Those of which every portrait is there."""
    source: Source
    """The runs."""

    def portrait(self, row: Row, triple: Triple) -> Path:
        """Return where a method's portrait lies."""
        return portrait(self.source, row, triple)


def read_runs(order: Order) -> Source:
    """Return the runs of the largest table that hold their portraits."""
    entries = [entry for entry in collect(order.runs) if entry.record.track == Track.triples]
    kept = [entry for entry in entries if (entry.folder / "images").is_dir()]
    if not kept:
        why = f"{len(entries)} are known, without their images" if entries else "none took place"
        raise UserError(f"no runs with portraits in {order.runs}", why, RUN.format("core"))
    found = read(kept, order.testset)
    if found.note:
        fix = "spf-bench study make --testset DIR"
        raise UserError("the captions of these runs are not at hand", found.note, fix)
    return found


def cast_of(order: Order) -> Cast:
    """Return who is compared on what.

    Raises:
        UserError: No study can be made of these runs; everything that stands against it is named.
    """
    source = read_runs(order)
    known = source.table.rows
    reference = next((row for row in known if row.record.method.reference), None)
    rows = {row.label: row for row in known if _wanted(order, row)}
    ours = [row.label for row in rows.values() if order.ours in (row.label, row.record.method.name)]
    triples = _whole(source, [*rows.values(), *([reference] if reference else [])])
    problems = list(_problems(order, source, rows, reference, ours, triples))
    pairs = plan.pairs_of(list(rows), ours[0] if ours else None)
    room = len(pairs) * len(triples)
    if not problems and room < order.size.pairs:
        why = f"{len(pairs)} pairs of methods on {len(triples)} triples make {room} comparisons"
        problems.append(Problem(f"--pairs {order.size.pairs}", why, f"--pairs {room}, or more triples"))
    if problems or reference is None:
        raise UserError(f"no study can be made of {order.runs}", problems=problems)
    return Cast(reference, rows, pairs, triples, source)


def _problems(
    order: Order,
    source: Source,
    rows: dict[str, Row],
    reference: Row | None,
    ours: Sequence[str],
    triples: Sequence[Triple],
) -> Iterator[Problem]:
    if order.to.exists() and not (order.to.is_dir() and not any(order.to.iterdir())):
        yield Problem(f"--to {order.to}", "is there already: its votes would be lost", "name another folder")
    known = {row.record.method.name for row in source.table.rows if not row.record.method.reference}
    labels = {row.label for row in source.table.rows}
    for name in order.methods:
        if name not in known | labels:
            why = f"has no portraits here, only {', '.join(sorted(known))}"
            yield Problem(f"--method {name}", why, RUN.format(name))
    if order.ours is not None and len(ours) != 1:
        why = f"may be {' or '.join(map(repr, ours))}" if ours else "is not among those compared"
        yield Problem(f"--ours {order.ours}", why, "name one that is compared")
    if len(rows) < 2:
        yield Problem("methods", f"{len(rows)} can be compared, two are needed", RUN.format("core"))
    if reference is None:
        yield Problem("original portraits", "participants compare with them, and none are here", RUN.format("original"))
    if reference is not None and len(rows) >= 2 and len(triples) < 2:
        yield Problem("triples", f"{len(triples)} have all their portraits, two are needed", "finish these runs")


def _wanted(order: Order, row: Row) -> bool:
    method = row.record.method
    return not method.reference and (not order.methods or {row.label, method.name} & set(order.methods) != set())


def _whole(source: Source, rows: Sequence[Row]) -> tuple[Triple, ...]:
    return tuple(t for t in source.triples if rows and all(portrait(source, row, t).is_file() for row in rows))


def portrait(source: Source, row: Row, triple: Triple) -> Path:
    """Return where the portrait of a triple by a run lies."""
    return image(source.folders[row.record.run] / "images", triple)
