"""Errors a user can mend: what failed, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class ConfigError(Exception):
    """Settings, samples or folders that cannot be trained with.

    what: one sentence on what failed.
    why: the reason, with the offending values.
    fix: what to change.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}\n  why: {why}\n  fix: {fix}")
        self.what, self.why, self.fix = what, why, fix


class Problem(NamedTuple):
    """One of several things to mend: what it is about, what is wrong with it, and what to do."""

    subject: str
    why: str
    fix: str = ""


class ConfigErrors(ConfigError):
    """Several problems found at once; `problems` has them all, and so has the message.

    what: one sentence on what they have in common.
    problems: at least one.
    """

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        Exception.__init__(self, what)
        self.what, self.why, self.fix = what, "", ""
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = ("  ".join(part for part in problem if part) for problem in self.problems)
        return "\n  ".join([self.what, *lines])

    def __reduce__(self) -> tuple[type[ConfigErrors], tuple[str, tuple[Problem, ...]]]:
        return ConfigErrors, (self.what, self.problems)


@contextmanager
def explained(what: str, fix: str) -> Iterator[None]:
    """Whatever goes wrong while a file from outside is read, as a ConfigError: libraries have errors of many kinds.

    what, fix: as ConfigError has them; its why is the first line of the error.
    A ConfigError goes through as it is, and so does memory that does not suffice.
    """
    try:
        yield
    except (ConfigError, MemoryError):
        raise
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(what, why, fix) from error


class NonFiniteLossError(ConfigError):
    """A loss or gradient became NaN or infinite; the last good checkpoint is kept in the run's folder."""
