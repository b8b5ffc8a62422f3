"""What a reader must know beside the numbers of a table, and beside whatever else is made of runs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spf_bench.record import Column, RunRecord, Score
from spf_bench.tracks import Track

if TYPE_CHECKING:
    from spf_bench.table.model import Row

Named = tuple[str, RunRecord]
"""A run and its name in print, which another run may share."""
DIRTY = "made with uncommitted changes, so no commit holds the code of"


def extent(record: RunRecord, n: int, whole: bool = True) -> str:
    """Return what ``n`` portraits of a run are a part of: ``n = 200 of 5000``.

    Args:
        record: The run, or any of those with the same triples.
        n: Portraits behind a number; of a sequence several for each triple.
        whole: Whether they are all of the run's, and not those of a category or step.
    """
    of = f" of {record.testset.size}" if record.n < record.testset.size else ""
    if whole and n <= record.n:
        return f"n = {n}{of}"
    if whole:
        return f"n = {n} of {record.n} triples{of}"
    return f"n = {n}" + (f", from {record.n}{of} triples" if of else "")


def cautions(named: Sequence[Named]) -> Iterator[str]:
    """Yield what everything made of these runs has to say: which are of a part of the test set, or of code unknown.

    Args:
        named: The runs with their names in print.
    """
    parts = {(r.testset.name, r.track, r.n, r.testset.size) for _, r in named if r.n < r.testset.size}
    for name, track, n, size in sorted(parts):
        where = "" if track == Track.triples else f" on the track {track}"
        yield f"a part of the test set: {n} of {size} triples of {name}{where}"
    yield from uncommitted(named)


def uncommitted(named: Sequence[Named]) -> Iterator[str]:
    """Yield which runs were made with files that differ from their commit."""
    if dirty := [name for name, record in named if record.dirty]:
        yield f"{DIRTY}: {', '.join(dirty)}"


def told_missing(score: Score) -> str:
    """Return how many of a score's test cases were measured where some were not, else nothing."""
    return f"{score.n} of {score.n + score.missing}" if score.missing else ""


def explain_flags(rows: Sequence["Row"], known: bool) -> Iterator[str]:
    """Yield why rows are not ranked, or why nobody can be told to be over-aligned.

    Args:
        rows: Those of the table.
        known: Whether there is an original portrait's response to tell by.
    """
    if not known and any(row.record.method.reference for row in rows):
        yield "CLIP-T was not measured triple by triple, so over-alignment cannot be told"
    elif not known:
        yield f"over-alignment cannot be told without the original portraits{_originals_command(rows)}"
    if any(row.unresponsive for row in rows):
        yield (
            "! over-aligned, not ranked: CLIP-T is not above the original portrait's (95 % interval of the paired "
            "difference), so the method has not responded"
        )
    if unknown := [row.label for row in rows if row.unknown]:
        yield f"not ranked: CLIP-T not measured triple by triple: {', '.join(unknown)}"


def _originals_command(rows: Sequence["Row"]) -> str:
    """Return the command that puts the original portraits beside these rows; nothing where no run sampled any."""
    sampled = (row.record for row in rows if not {"made", "beside"} & row.record.facts.keys())
    if (record := next(sampled, None)) is None:
        return ""
    command = record.command.replace(f"--method {record.method.name}", "--method original")
    return f": {command.split(' --preset')[0]}"


def explain(rows: Sequence["Row"], columns: Sequence[Column]) -> Iterator[str]:
    """Yield what holds for whole rows, and why cells are partial or to be read with care, each reason once a column."""
    yield from uncommitted([row.named for row in rows])
    outside = [row.label for row in rows if row.record.facts.get("beside") and not row.record.method.reference]
    if outside:
        yield f"images made elsewhere, sampled alike by the word of who scored them: {', '.join(outside)}"
    for column in columns:
        scores = [(row.label, row.cells[column.key].score) for row in rows if column.key in row.cells]
        for reason in sorted({score.reason or "" for _, score in scores if score.reason or score.missing}):
            about = [(label, score) for label, score in scores if (score.reason or "") == reason]
            missing = [f"{label} on {told_missing(score)}" for label, score in about if score.missing]
            where = "" if missing or len(about) == len(rows) else f" ({', '.join(label for label, _ in about)})"
            measured = f" († {', '.join(missing)})" if missing else ""
            yield f"{column.title}{where}: {reason or 'not measured everywhere'}{measured}"


def no_interval(rows: Sequence["Row"], columns: Sequence[Column]) -> Iterator[str]:
    """Yield which scores of whole sets have no interval, the sets being too small to leave parts of them out."""
    from spf_bench.stats import FOLDS  # it brings numpy and pandas, which no help needs

    for column in columns:
        scores = [row.cells[column.key].score for row in rows if column.key in row.cells]
        if any(s.mean is not None and s.lo is None and 1 < s.n < 2 * FOLDS for s in scores):
            yield f"{column.title}: no interval below {2 * FOLDS} images"
