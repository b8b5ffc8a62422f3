"""Kill -9 at any moment of a run: the same command again ends with the same record, scores and images."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.files import store
from spf_bench.files.intact import whole
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.triple import image

Planned = Callable[..., Run]
WRITES = (1, 4, 9, 15)  # which of its files a process dies at, each going on from where the last one died


def killed_in(run: Run, die: Callable[[], None]) -> bool:
    """Run in a process that ``die`` prepares to be killed, and return whether it was."""
    child = os.fork()
    if child == 0:
        try:
            die()
            execute(run, Silent())
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def at_write(number: int, after: bool) -> Callable[[], None]:
    """Die at the ``number``-th file, before or after it is moved into place."""
    calls, replace = iter(range(1, 10_000)), os.replace

    def dying(*paths: str) -> None:
        last = next(calls) == number
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare() -> None:
        store.os.replace = dying  # type: ignore[attr-defined,assignment]

    return prepare


def no_half_file(folder: Path) -> bool:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return all(whole(path) for path in found)


def same(run: Run, undisturbed: Run) -> None:
    found, expected = execute(run, Silent()), execute(undisturbed, Silent())
    volatile = ("created", "seconds", "memory", "training")
    facts, wanted = ({k: v for k, v in vars(r).items() if k not in volatile} for r in (found, expected))
    assert facts == wanted
    for case in run.cases:
        assert image(run.images, case).read_bytes() == image(undisturbed.images, case).read_bytes()
    assert (run.folder / "scores.parquet").read_bytes() == (undisturbed.folder / "scores.parquet").read_bytes()
    assert not [path for path in run.runs.rglob(".*") if path.is_file()]


def test_killed_at_its_files(planned: Planned) -> None:
    undisturbed, run = planned("naive", "undisturbed", batch=2), planned("naive", batch=2)
    execute(undisturbed, Silent())
    kills = 0
    for number, after in zip(WRITES, [False, True] * len(WRITES), strict=False):
        kills += killed_in(run, at_write(number, after))
        assert no_half_file(run.runs)
    assert kills >= 3
    same(run, undisturbed)


def test_killed_by_the_clock(planned: Planned) -> None:
    undisturbed, run = planned("prompt_only", "undisturbed", batch=2), planned("prompt_only", batch=2)
    start = time.monotonic()
    execute(undisturbed, Silent())
    moments, kills = random.Random(0), 0
    for _ in range(3):
        after = moments.uniform(0.05, 0.6) * (time.monotonic() - start)
        kills += killed_in(run, lambda after=after: signal.setitimer(signal.ITIMER_REAL, after))  # type: ignore[misc]
        assert no_half_file(run.runs)
    assert kills
    same(run, undisturbed)


def test_two_runs_in_one_folder(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said = planned("prompt_only"), list[str]()
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            real = execute.__globals__["mend"]
            execute.__globals__["mend"] = lambda *a: (os.write(told, b"x"), time.sleep(0.3), real(*a))
            execute(run, Silent())
        finally:
            os._exit(0)
    os.read(ready, 1)
    monkeypatch.setattr(Silent, "note", lambda self, text: said.append(text))
    monkeypatch.setattr("spf_bench.models.backbone.Backbone.render", lambda *_: pytest.fail("sampled twice"))
    record = execute(run, Silent())
    assert os.waitpid(child, 0)[1] == 0 and record.run == run.folder.name
    assert f"waiting for process {child}" in said[0] and "done before" in said[1]
