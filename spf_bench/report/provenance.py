"""How each number was made: of metrics the weights' licence, n and what is missing; of runs how to repeat them."""

from collections.abc import Sequence
from dataclasses import dataclass

from spf_bench.environment import Environment
from spf_bench.record import Column, RunRecord
from spf_bench.table.model import Row, Table

EMBEDDED = "world"
"""The suite whose networks come with the benchmark, under its own licence."""


@dataclass(frozen=True)
class MetricFacts:
    """One metric of the table."""

    column: Column
    licence: str
    """Of the weights behind it."""
    n: str
    """Triples measured, a range where methods differ."""
    missing: list[tuple[str, int, str]]
    """Method, how many triples it lacks, and why."""


@dataclass(frozen=True)
class RunFacts:
    """One run of the table."""

    label: str
    record: RunRecord
    seconds: float
    """Of all its stages."""
    commit: str
    """With a mark where files differed from it."""
    packages: str


def metrics(table: Table) -> list[MetricFacts]:
    """Return the facts of every metric of a table."""
    embedded = table.rows[0].record.suite == EMBEDDED
    return [_metric(c, table, "as spf-bench" if embedded else c.licence or "unknown") for c in table.columns]


def runs(rows: Sequence[Row]) -> list[RunFacts]:
    """Return the facts of every run."""
    return [_run(row) for row in rows]


def weights(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return (name, SHA-256, whose) of all networks: each once where all runs used the same."""
    users: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, sha256 in row.record.weights.items():
            users.setdefault((name, sha256), []).append(row.label)
    return [(n, sha256, "all" if len(of) == len(rows) else ", ".join(of)) for (n, sha256), of in users.items()]


def _metric(column: Column, table: Table, licence: str) -> MetricFacts:
    scores = [(row.label, row.cells[column.key].score) for row in table.rows if column.key in row.cells]
    counts = sorted({score.n for _, score in scores}) or [0]
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    missing = [(label, s.missing, s.reason or "no reason given") for label, s in scores if s.missing]
    return MetricFacts(column, licence, n, missing)


def _run(row: Row) -> RunFacts:
    record, where = row.record, row.record.environment
    commit = _commit(where) + (f", scores {_commit(record.scored_in)}" if record.scored_in else "")
    packages = ", ".join(f"{name} {version}" for name, version in where.packages.items())
    return RunFacts(row.label, record, sum(record.seconds.values()), commit, packages)


def _commit(where: Environment) -> str:
    return (where.commit[:12] if where.commit else "unknown") + (" with changes" if where.dirty else "")
