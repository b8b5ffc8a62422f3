"""Errors a user can mend: what failed, why, and what to do about it."""

from __future__ import annotations


class ConfigError(Exception):
    """Settings, samples or folders that cannot be trained with.

    what: one sentence on what failed.
    why: the reason, with the offending values.
    fix: what to change.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}\n  why: {why}\n  fix: {fix}")
        self.what, self.why, self.fix = what, why, fix


class NonFiniteLossError(ConfigError):
    """A loss or gradient became NaN or infinite; the last good checkpoint is kept in the run's folder."""
