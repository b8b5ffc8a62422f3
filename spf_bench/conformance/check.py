"""What a conformance test is made of: named checks that pass with a remark, fail with a reason, or cannot be made."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from spf_bench.errors import UserError
from spf_bench.plugins import FAILURES, culprit, reason

T = TypeVar("T")


class Outcome(StrEnum):
    """How a check ended."""

    passed = "ok"
    failed = "FAILED"
    skipped = "-"
    """It does not apply, or rests on one that failed."""


@dataclass(frozen=True)
class Result:
    """How one check ended, and why."""

    name: str
    """The promise in a few words."""
    outcome: Outcome
    """Whether it is kept."""
    detail: str
    """What was seen."""
    fix: str = ""
    """What mends it."""


class Broken(Exception):
    """A promise that is not kept.

    Args:
        why: What was seen instead.
        fix: What mends it.
    """

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.why, self.fix = why, fix


class Skipped(Exception):
    """A promise that this method or metric need not make, with the reason."""


@dataclass(frozen=True)
class Check(Generic[T]):
    """One promise of a contract."""

    name: str
    """The promise in a few words; unique within its test."""
    look: Callable[[T], str]
    """Looks at the thing and returns a remark; raises Broken or Skipped."""
    needs: tuple[str, ...] = ()
    """Names of earlier checks without which this one says nothing."""


def run(checks: Sequence[Check[T]], thing: T, file: str) -> Iterator[Result]:
    """Make every check of ``thing``; an exception is a failure, told with the line of ``file`` it went through."""
    failed: set[str] = set()
    for check in checks:
        lost = [need for need in check.needs if need in failed]
        result = Result(check.name, Outcome.skipped, f"needs {lost[0]!r}") if lost else _made(check, thing, file)
        if result.outcome is Outcome.failed or lost:
            failed.add(check.name)
        yield result


def _made(check: Check[T], thing: T, file: str) -> Result:
    try:
        return Result(check.name, Outcome.passed, check.look(thing))
    except Skipped as error:
        return Result(check.name, Outcome.skipped, str(error))
    except Broken as error:
        return Result(check.name, Outcome.failed, error.why, error.fix)
    except UserError as error:
        return Result(check.name, Outcome.failed, reason(error), error.fix)
    except FAILURES as error:
        return Result(check.name, Outcome.failed, culprit(error, file), "mend the exception")
