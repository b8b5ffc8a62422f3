"""What a reader must know beside the numbers of a table."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spf_bench.record import Column, RunRecord

if TYPE_CHECKING:
    from spf_bench.table.model import Row


def explain_flags(first: RunRecord, flagged: set[str] | None) -> Iterator[str]:
    """Yield why runs are flagged, or why none can be.

    Args:
        first: Any run of the table.
        flagged: The runs that have not responded; None where the original portraits are missing.
    """
    if flagged is None:
        command = first.command.replace(f"--method {first.method.name}", "--method original")
        yield f"over-alignment cannot be told without the original portraits: {command.split(' --preset')[0]}"
    if flagged:
        yield (
            "! over-aligned, not ranked: CLIP-T is not above the original portrait's (95 % interval of the paired "
            "difference), so the method has not responded"
        )


def explain(rows: Sequence["Row"], columns: Sequence[Column]) -> Iterator[str]:
    """Yield why cells are partial or to be read with care, each reason once a column, and which came from outside."""
    outside = [row.label for row in rows if row.record.facts.get("beside") and not row.record.method.reference]
    if outside:
        yield f"images made elsewhere, sampled alike by the word of who scored them: {', '.join(outside)}"
    for column in columns:
        scores = {row.label: row.cells[column.key].score for row in rows if column.key in row.cells}
        for reason in sorted({score.reason for score in scores.values() if score.reason}):
            about = {label: score for label, score in scores.items() if score.reason == reason}
            missing = [f"{label} lacks {score.missing}" for label, score in about.items() if score.missing]
            where = "" if missing or len(about) == len(rows) else f" ({', '.join(about)})"
            yield f"{column.title}{where}: {reason}" + (f" († {', '.join(missing)})" if missing else "")
