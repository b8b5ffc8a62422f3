"""Our runs in the rows of one of the paper's tables: its order, its names, nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from spf_bench.errors import UserError
from spf_bench.table.model import Entry
from spf_bench.table.published import TABLES, Ours, Published

ALWAYS = ("original", "prompt_only")
"""Methods that stand in every table: ceiling and floor of preservation and response."""


def shaped(entries: Sequence[Entry], number: str) -> tuple[list[Entry], list[str]]:
    """Return those of ``entries`` that one of the paper's tables has rows for, named and ordered as there.

    Several seeds or presets of one row all stand in it, and where it was run with several settings, each with its own
    beside the name. What is not there is told in the notes.

    Raises:
        UserError: No run is a row of that table.
    """
    rows = [entry for entry in entries if entry.record.method.name in ALWAYS]
    missing, found = list[str](), 0
    for told in TABLES[number]:
        mine = [entry for entry in entries if is_row(entry, told)]
        found += len(mine)
        rows += _named(mine, told)
        missing += [] if mine else [f"{told.method} ({command(told.ours[0])})"]
    if not found:
        fix = f"spf-bench ablate --table {number}" if number != "1" else "spf-bench run --method all"
        raise UserError(f"no run here is a row of Table {number}", "its rows are runs with certain settings", fix)
    return rows, [f"not run yet: {', '.join(missing)}"] if missing else []


def is_row(entry: Entry, told: Published) -> bool:
    """Say whether a run is one of our counterparts of a published row."""
    method = entry.record.method
    return (method.name, tuple(method.changes)) in told.ours


def command(ours: Ours) -> str:
    """Return the command that makes a row."""
    name, changes = ours
    return " ".join(["spf-bench run --method", name, *(f"--set {change}" for change in changes)])


def _named(entries: Sequence[Entry], told: Published) -> list[Entry]:
    """Return runs of one row under its name; where their settings differ, those stay beside it."""
    settings = {(entry.record.method.name, *entry.record.method.changes) for entry in entries}
    found = []
    for entry in entries:
        changes = entry.record.method.changes if len(settings) > 1 else []
        method = replace(entry.record.method, title=told.method, changes=changes)
        found.append(replace(entry, record=replace(entry.record, method=method)))
    return found
