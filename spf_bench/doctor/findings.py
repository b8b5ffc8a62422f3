"""What ``doctor`` found: one line each, with what it means for a run."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a finding means for a run."""

    ok = "ok"
    note = "note"
    """Worth knowing; runs work."""
    blocks = "blocks"
    """No run can work."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    subject: str
    """What was looked at."""
    state: State
    """What it means for a run."""
    detail: str
    """What was found."""
    fix: str = ""
    """The command that mends it."""
