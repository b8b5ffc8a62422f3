"""A folder has one holder; who comes second waits or is told for whom; what a killed one left is taken over."""

import errno
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spf_bench.errors import UserError
from spf_bench.files import locks
from spf_bench.files.locks import LOCK, Holder, hold, holder


@pytest.fixture
def busy(tmp_path: Path) -> Callable[[], int]:
    """Starts another process that holds the folder until it is killed."""

    def start() -> int:
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            with hold(tmp_path):
                os.write(told, b"x")
                time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        return child

    return start


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_the_holder_is_named_and_gone_afterwards(tmp_path: Path) -> None:
    with hold(tmp_path / "new"):
        who = holder(tmp_path / "new")
        assert who is not None and (who.pid, who.host) == (os.getpid(), platform.node())
        assert str(who).startswith(f"process {os.getpid()} on {platform.node()} since 2") and str(who).endswith("UTC")
    assert holder(tmp_path / "new") is None and not list((tmp_path / "new").iterdir())


def test_without_patience_the_second_is_told_who_holds_it(tmp_path: Path, busy: Callable[[], int]) -> None:
    child = busy()
    with pytest.raises(UserError) as caught, hold(tmp_path, patience=0):
        pytest.fail("two hold it")
    assert f"process {child} on {platform.node()}" in caught.value.why and f"kill {child}" in caught.value.fix
    kill(child)


def test_the_second_waits_and_takes_over_from_a_killed_one(tmp_path: Path, busy: Callable[[], int]) -> None:
    child, said = busy(), list[str]()
    threading.Timer(0.3, kill, [child]).start()
    with hold(tmp_path, said.append):
        assert holder(tmp_path) == replace(Holder.me(), since=holder(tmp_path).since)
    assert [f"waiting for process {child}" in said[0], f"was left by process {child}" in said[1]] == [True, True]
    assert said[1].endswith("it was killed") and len(said) == 2


def test_a_lock_from_before_a_restart_or_from_elsewhere_is_told_apart(tmp_path: Path) -> None:
    for change, fate in (({"boot": "another"}, "was restarted since"), ({"host": "far"}, "if far still works there")):
        (tmp_path / LOCK).write_text(json.dumps(vars(replace(Holder.me(), pid=1, **change))))
        said = list[str]()
        with hold(tmp_path, said.append):
            assert fate in said[0]


@pytest.mark.parametrize("left", ["", "{", '{"pid": 1}', "\x00\x00"])
def test_a_torn_lock_stops_nobody(tmp_path: Path, left: str) -> None:
    (tmp_path / LOCK).write_text(left)
    with hold(tmp_path, patience=0):
        assert holder(tmp_path) is not None


def test_one_at_a_time_among_many(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(5):
            with hold(tmp_path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1

    locks_often, locks.OFTEN = locks.OFTEN, 0.001
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    locks.OFTEN = locks_often
    assert most == [1]


def test_a_forked_child_does_not_hold_on(tmp_path: Path) -> None:
    with hold(tmp_path):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    with hold(tmp_path, patience=0):
        mine = holder(tmp_path)
        kill(child)
    assert mine is not None and mine.pid == os.getpid()


def test_on_a_disk_without_locks_what_is_written_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: Callable[[], int]
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(locks.fcntl, "flock", none)
    with hold(tmp_path), pytest.raises(UserError, match="is in use"), hold(tmp_path, patience=0):
        pytest.fail("two hold it")
    (tmp_path / LOCK).write_text(json.dumps(vars(replace(Holder.me(), pid=dead()))))
    with hold(tmp_path, patience=0):
        assert holder(tmp_path) is not None


def test_of_processes_launched_together_one_holds_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with hold(tmp_path, patience=0):
            pass
        assert (tmp_path / LOCK).is_file()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file stands where a folder must be"), hold(tmp_path / "file" / "run"):
        pytest.fail("held")
