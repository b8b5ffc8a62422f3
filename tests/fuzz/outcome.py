"""What may come of any input at all: a result, or one error in words, soon, and no file where none belongs."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings

from spf_bench.errors import UserError
from spf_train.errors import ConfigError

T = TypeVar("T")
THOROUGH = os.environ.get("SPF_FUZZ") == "thorough"
SECONDS = 20
"""Longer than any one input may take, on a busy machine too."""


def fuzzed(few: int = 40, many: int = 3000) -> settings:
    """Return how many inputs a test tries: the same few every time in the suite, many new ones where asked."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    tried = many if THOROUGH else few
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if THOROUGH else [])]
    return settings(
        max_examples=tried, derandomize=not THOROUGH, database=None, deadline=None, phases=phases,
        suppress_health_check=checks,
    )  # fmt: skip


def outcome(call: Callable[[], T]) -> T | UserError | ConfigError:
    """Return what a call returns, or the error it explains itself with; any other error is the test's failure."""
    with in_time():
        try:
            return call()
        except (UserError, ConfigError) as error:
            told = str(error)
            assert told.strip() and "Traceback" not in told and len(told) < 400_000
            return error


@contextmanager
def in_time() -> Iterator[None]:
    """Fail where the block hangs."""

    def late(*_: object) -> None:
        raise AssertionError(f"hung for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def writes_only_below(root: Path, *places: str) -> Iterator[None]:
    """Fail where the block makes, changes or removes a file below ``root`` that is below none of the places."""
    before = _files(root, places)
    yield
    assert _files(root, places) == before


def _files(root: Path, places: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    kept = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if name.parts[0] not in places:
            facts = path.lstat()
            kept[str(name)] = (facts.st_size if path.is_file() else 0, facts.st_mtime_ns if path.is_file() else 0)
    return kept
