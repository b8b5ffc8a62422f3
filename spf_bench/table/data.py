"""Tables of scores for programs: CSV and plain JSON types."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from spf_bench.record import Column
from spf_bench.table.layout import write_csv
from spf_bench.table.model import Row, Table

ENDS = ("", "_lo", "_hi", "_n", "_missing")
"""What the columns of a score are called in CSV, after its key."""
FACTS = ("method", "label", "preset", "seed", "run", "commit", "dirty")


def plain(table: Table) -> dict[str, Any]:
    """Return a table as plain JSON types."""
    rows = [
        {
            **dict(zip(FACTS, _facts(row), strict=True)),
            "over_aligned": None if row.unknown else row.unresponsive,
            "scores": {
                key: {**asdict(cell.score), "best": cell.best, "second": cell.second} for key, cell in row.cells.items()
            },
        }
        for row in table.rows
    ]
    columns = [asdict(column) for column in table.columns]
    return {"heading": table.heading, **_where(table), "columns": columns, "rows": rows, "notes": list(table.notes)}


def to_csv(tables: Sequence[Table]) -> str:
    """Return tables as CSV, a row for each of theirs."""
    columns = list({column.key: column for table in tables for column in table.columns}.values())
    scores = [column.key + end for column in columns for end in ENDS]
    head = [*(_where(tables[0]) if tables else ()), *FACTS, "over_aligned", *scores]
    return write_csv([head, *(_csv_row(table, row, columns) for table in tables for row in table.rows)])


def _where(table: Table) -> dict[str, Any]:
    first, t = table.rows[0].record, table.rows[0].record.testset
    return {
        "suite": first.suite, "testset": t.name, "testset_sha256": t.sha256, "testset_size": t.size,
        "track": first.track, "category": table.category, "triples": first.n, "n": table.n,
    }  # fmt: skip


def _facts(row: Row) -> list[object]:
    r = row.record
    return [r.method.name, row.label, r.preset, r.seed, r.run, r.environment.commit, r.dirty]


def _csv_row(table: Table, row: Row, columns: Iterable[Column]) -> list[object]:
    scores = [row.cells[c.key].score if c.key in row.cells else None for c in columns]
    values = [v for s in scores for v in ((s.mean, s.lo, s.hi, s.n, s.missing) if s else (None,) * len(ENDS))]
    return [*_where(table).values(), *_facts(row), None if row.unknown else row.unresponsive, *values]
