"""Figures of portraits side by side: variants (7), original texts after fine-tuning (9), targets in sequence (16)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spf_bench.errors import UserError
from spf_bench.figures.ask import Ask, choose, source
from spf_bench.figures.pictures import Line, grid, read
from spf_bench.figures.style import footnote
from spf_bench.report.source import Source
from spf_bench.table import published
from spf_bench.table.model import Row
from spf_bench.table.notes import uncommitted
from spf_bench.tracks import Place, Step, Track
from spf_bench.triple import Triple, image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    ours: row.method.removesuffix(" (SPF)") for rows in published.TABLES.values() for row in rows for ours in row.ours
}
"""What the paper calls a method with some of its settings changed."""


def variants(ask: Ask) -> "Figure":
    """Draw the same triples by a method and its variants, the original portraits first (Fig. 7).

    Raises:
        UserError: The method ran with none of its settings changed.
    """
    found = source(ask, Track.triples, "spf-bench ablate --table 1", ask.method)
    of = [row for row in found.table.rows if row.record.method.name == ask.method]
    if not any(row.record.method.changes for row in of):
        why = f"{len(of)} runs of {ask.method} stand beside each other, and none has a setting changed"
        raise UserError(f"there are no variants of {ask.method} to show", why, "spf-bench ablate --table 1")
    of.sort(key=lambda row: not row.record.method.changes)
    return _side_by_side(ask, found, [*_references(found), *of], with_target=True)


def retention(ask: Ask) -> "Figure":
    """Draw what the base text alone gives before and after fine-tuning (Fig. 9)."""
    command = "spf-bench run --method core --track retention"
    found = source(ask, Track.retention, command)
    trained = [row for row in found.table.rows if row.record.method.trains]
    if not trained:
        raise UserError("no fine-tuned model to show", f"{len(found.table.rows)} runs, none of which trains", command)
    return _side_by_side(ask, found, [*_references(found), *trained], with_target=False)


def sequence(ask: Ask) -> "Figure":
    """Draw what every method makes of targets replaced and added one after another (Fig. 16)."""
    found = source(ask, Track.sequence, "spf-bench run --method core --track sequence")
    chosen = choose(Ask(ask.runs, triples=ask.triples, n=min(ask.n, 2)), found.triples)
    steps = {(step.origin, step.place): step for step in found.triples if isinstance(step, Step)}
    lines = []
    for triple in chosen:
        asked = [steps[triple.origin, place] for place in Place if (triple.origin, place) in steps]
        lines += _sequence(found, asked)
    return footnote(grid(lines), uncommitted([row.named for row in found.table.rows]))


def _sequence(found: Source, asked: Sequence[Step]) -> list[Line]:
    """Return a row for every method: the original portrait, and what it made of each step."""
    originals = [read(_path(found, row, asked[0])) for row in _references(found)]
    heads = ["original portrait"] * len(originals) + [f"{step.place.label}: {step.target}" for step in asked]
    methods = [row for row in found.table.rows if not row.record.method.reference]
    lines = []
    for number, row in enumerate(methods):
        cells = [*originals, *(read(_path(found, row, step)) for step in asked)]
        text = f"{row.label}: {asked[0].base}" if number == 0 else row.label
        lines.append(Line(cells, text, heads=() if number else heads))
    return lines


def _side_by_side(ask: Ask, found: Source, rows: list[Row], with_target: bool) -> "Figure":
    heads = [_name(row) for row in rows]
    lines = []
    for number, triple in enumerate(choose(ask, found.triples)):
        cells = [read(_path(found, row, triple)) for row in rows]
        lines.append(Line(cells, triple.base, triple.target if with_target else "", () if number else heads))
    return footnote(grid(lines), uncommitted([row.named for row in rows]))


def _path(found: Source, row: Row, triple: Triple) -> Path:
    return image(found.folders[row.record.run] / "images", triple)


def _references(found: Source) -> list[Row]:
    return [row for row in found.table.rows if row.record.method.reference]


def _name(row: Row) -> str:
    method = row.record.method
    named = NAMES.get((method.name, tuple(method.changes))) if method.changes else None
    return named or ", ".join(method.changes) or method.title
