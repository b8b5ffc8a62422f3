"""Our runs in the rows of one of the paper's tables: its order, its names, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spf_bench.errors import UserError
from spf_bench.table.model import Entry
from spf_bench.table.published import TABLES, Ours, Published

ALWAYS = ("original", "prompt_only")
"""Methods that stand in every table: ceiling and floor of preservation and response."""
MARK = " (SPF)"
"""What the paper adds to the row that is its method."""


def members(entries: Sequence[Entry], number: str) -> tuple[list[Entry], list[str]]:
    """Return those of ``entries`` that one of the paper's tables has rows for, in its order, and what is missing.

    Several seeds or presets of one row all stand in it.

    Raises:
        UserError: No run is a row of that table.
    """
    rows = {told.method: row_of(entries, told) for told in TABLES[number]}
    missing = [
        f"{told.method.removesuffix(MARK)} ({command(told.ours[0])})"
        for told in TABLES[number]
        if not rows[told.method]
    ]
    if not any(rows.values()):
        fix = f"spf-bench ablate --table {number}" if number != "1" else "spf-bench run --method all"
        raise UserError(f"no run here is a row of Table {number}", "its rows are runs with certain settings", fix)
    always = [entry for entry in entries if entry.record.method.name in ALWAYS]
    found = [*always, *(entry for mine in rows.values() for entry in mine)]
    return found, [f"not run yet: {', '.join(missing)}"] if missing else []


def named(entries: Sequence[Entry], number: str) -> list[Entry]:
    """Return the members of one of the paper's tables under the names of its rows."""
    titles = {entry.record.run: _title(entry, told) for told in TABLES[number] for entry in row_of(entries, told)}
    return [_called(entry, titles[entry.record.run]) if entry.record.run in titles else entry for entry in entries]


def row_of(entries: Sequence[Entry], told: Published) -> list[Entry]:
    """Return the runs that are a published row: those of the first counterpart that is there."""
    found = ([entry for entry in entries if is_row(entry, ours)] for ours in told.ours)
    return next((mine for mine in found if mine), [])


def is_row(entry: Entry, ours: Ours) -> bool:
    """Say whether a run is a counterpart of a published row: it was told its settings, or has them by itself."""
    method, (name, changes) = entry.record.method, ours
    if method.name != name:
        return False
    return method.changes == list(changes) or (
        not method.changes and all(_has(method.config, *change.split("=", 1)) for change in changes)
    )


def command(ours: Ours) -> str:
    """Return the command that makes a row."""
    name, changes = ours
    return " ".join(["spf-bench run --method", name, *(f"--set {change}" for change in changes)])


def _has(config: Mapping[str, Any], name: str, value: str) -> bool:
    """Say whether settings hold a value, by its dotted name and as it is written."""
    found: Any = config
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return isinstance(found, str) and found == value


def _title(entry: Entry, told: Published) -> str:
    """Return the name of a row; the one that is the method as it is says so, whichever it was in the paper."""
    method, title = entry.record.method, told.method.removesuffix(MARK)
    is_method = method.name == "spf" and not method.changes and title != "SPF"
    return f"{title} ({method.title})" if is_method else title


def _called(entry: Entry, title: str) -> Entry:
    method = replace(entry.record.method, title=title, changes=[])
    return replace(entry, record=replace(entry.record, method=method))
