"""What the page's scripts work on: triples, portraits, scores and disagreements, as plain JSON types."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from spf_bench.record import Column
from spf_bench.report.disagreement import Pair
from spf_bench.report.portraits import Gallery
from spf_bench.table.model import Table
from spf_bench.tracks import PARTS

if TYPE_CHECKING:
    import pandas as pd

Frames = Sequence["pd.DataFrame | None"]


def payload(table: Table, tones: Sequence[str], frames: Frames, gallery: Gallery, pairs: Sequence[Pair]) -> Any:
    """Return everything the scripts need.

    Args:
        table: Whose rows are the methods.
        tones: Name of each row's colour.
        frames: Scores per triple of each row, None where they were not kept.
        gallery: Portraits of each row.
        pairs: Disagreements about triples of the gallery.
    """
    places = {triple.id: i for i, triple in enumerate(gallery.triples)}
    columns = [c for c in table.columns if any(frame is not None and c.key in frame for frame in frames)]
    rows = zip(table.rows, tones, strict=True)
    return {
        "methods": [
            {"label": r.label, "tone": tone, "reference": r.record.method.reference, "unresponsive": r.unresponsive}
            for r, tone in rows
        ],
        "columns": [_facts(column) for column in columns],
        "categories": {part.value: part.label for part in PARTS},
        "triples": [{"id": t.id, "base": t.base, "target": t.target, "category": t.part} for t in gallery.triples],
        "images": gallery.images,
        "scores": {column.key: _scores(column, frames, list(places)) for column in columns},
        "pairs": [
            {
                "a": pair.a.key,
                "b": pair.b.key,
                "agreement": round(pair.agreement, 3),
                "triples": [[places[key], round(value, 3)] for key, value in pair.triples],
            }
            for pair in pairs
        ],
    }


def _facts(column: Column) -> dict[str, Any]:
    up = column.higher_is_better
    return {"key": column.key, "title": column.title, "up": up, "decimals": column.decimals}


def _scores(column: Column, frames: Frames, ids: Sequence[str]) -> list[list[float | None]]:
    """Return the scores by triple, then by row; None where one was not measured."""
    by_row = [_column(frame, column, ids) for frame in frames]
    return [list(values) for values in zip(*by_row, strict=True)]


def _column(frame: "pd.DataFrame | None", column: Column, ids: Sequence[str]) -> list[float | None]:
    if frame is None or column.key not in frame:
        return [None] * len(ids)
    values = frame[column.key].reindex(list(ids))
    return [round(float(v), column.decimals + 1) if isfinite(v) else None for v in values]
