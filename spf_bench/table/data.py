"""Tables of scores for programs: CSV and plain JSON types."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from spf_bench.record import Column
from spf_bench.table.layout import write_csv
from spf_bench.table.model import Row, Table


def plain(table: Table) -> dict[str, Any]:
    """Return a table as plain JSON types."""
    first = table.rows[0].record
    rows = [
        {
            **_facts(row),
            "over_aligned": row.unresponsive,
            "scores": {
                key: {**asdict(cell.score), "best": cell.best, "second": cell.second} for key, cell in row.cells.items()
            },
        }
        for row in table.rows
    ]
    where = {"suite": first.suite, "testset": first.testset.name, "testset_sha256": first.testset.sha256}
    return {
        "heading": table.heading, **where, "track": first.track, "category": table.category, "n": table.n,
        "columns": [asdict(column) for column in table.columns], "rows": rows, "notes": list(table.notes),
    }  # fmt: skip


def _facts(row: Row) -> dict[str, Any]:
    r = row.record
    return {"method": r.method.name, "label": row.label, "preset": r.preset, "seed": r.seed, "run": r.run}


def to_csv(tables: Sequence[Table]) -> str:
    """Return tables as CSV, a row for each of theirs."""
    columns = list({column.key: column for table in tables for column in table.columns}.values())
    facts = ["suite", "testset", "testset_sha256", "track", "category", "n", "method", "label", "preset", "seed", "run"]
    head = [*facts, "over_aligned", *(c.key + end for c in columns for end in ("", "_lo", "_hi", "_n"))]
    return write_csv([head, *(_csv_row(table, row, columns) for table in tables for row in table.rows)])


def _csv_row(table: Table, row: Row, columns: Iterable[Column]) -> list[object]:
    r = row.record
    where = [r.suite, r.testset.name, r.testset.sha256, r.track, table.category, table.n]
    scores = [row.cells[c.key].score if c.key in row.cells else None for c in columns]
    values = [v for s in scores for v in ((s.mean, s.lo, s.hi, s.n) if s else (None,) * 4)]
    return [*where, *_facts(row).values(), row.unresponsive, *values]
