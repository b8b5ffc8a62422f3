"""One vote for each question; time runs while somebody is there; what is confirmed is on disk."""

import sqlite3
import threading
from pathlib import Path

import pytest

from spf_bench.errors import UserError
from spf_bench.study.votes import PAUSE, ClosedError, Votes


class Clock:
    """Time that passes when told to."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_second_vote_replaces_the_first(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "v.sqlite")
    for choice in ("left", "right", "right"):
        votes.vote(1, "k", "OBC", choice, 60)
    votes.vote(2, "k", "OBC", "left", 60)
    assert votes.of(1) == {"k": {"OBC": "right"}} and votes.of(2) == {"k": {"OBC": "left"}}
    assert len(votes.all()) == 2
    changes = sqlite3.connect(tmp_path / "v.sqlite").execute("SELECT changes FROM votes").fetchall()
    assert sorted(changes) == [(0,), (1,)]


@pytest.mark.parametrize("place", ["/proc/x.sqlite", "nowhere/x.sqlite"])
def test_a_place_that_takes_no_votes_is_told(place: str) -> None:
    with pytest.raises(UserError, match=f"cannot use {place}") as caught:
        Votes(Path(place))
    assert caught.value.why == "unable to open database file" and "can be written" in caught.value.fix


def test_a_table_without_its_columns_is_damaged(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "v.sqlite")
    votes.vote(1, "k", "OBC", "left", 60)
    votes.close()
    with sqlite3.connect(tmp_path / "v.sqlite") as db:
        db.execute("ALTER TABLE votes RENAME COLUMN seconds TO secondS_")
    with pytest.raises(UserError, match="are damaged"):
        Votes(tmp_path / "v.sqlite").all()


def test_a_clock_that_was_set_back_takes_no_time_away(tmp_path: Path, clock: Clock) -> None:
    votes = Votes(tmp_path / "v.sqlite", clock)
    votes.enter(1)
    clock.now += 10
    assert votes.enter(1).active == 10
    clock.now -= 1e6
    assert votes.enter(1).active == 10
    clock.now += 5
    assert votes.enter(1).active == 15


def test_time_counts_in_part_where_nobody_is_there(tmp_path: Path, clock: Clock) -> None:
    votes = Votes(tmp_path / "v.sqlite", clock)
    assert votes.enter(1).active == 0
    clock.now += 10
    assert votes.vote(1, "a", "OBC", "left", 600) == 590
    clock.now += 10_000
    assert votes.enter(1).active == 10 + PAUSE
    clock.now += 5
    votes.vote(1, "b", "OBC", "left", 600)
    assert [row[4] for row in votes.all()] == [10, 5]


def test_no_vote_after_the_time_or_after_handing_in(tmp_path: Path, clock: Clock) -> None:
    votes = Votes(tmp_path / "v.sqlite", clock)
    votes.enter(1)
    clock.now += 61
    with pytest.raises(ClosedError, match="over"):
        votes.vote(1, "a", "OBC", "left", 60)
    votes.enter(2)
    votes.vote(2, "a", "OBC", "left", 60)
    votes.finish(2)
    with pytest.raises(ClosedError, match="finished"):
        votes.vote(2, "a", "OBC", "right", 60)
    assert votes.enter(2).finished and votes.of(2) == {"a": {"OBC": "left"}} and votes.of(1) == {}


def test_loading_the_page_again_does_not_stop_the_clock(tmp_path: Path, clock: Clock) -> None:
    votes = Votes(tmp_path / "v.sqlite", clock)
    for _ in range(8):
        votes.enter(1)
        clock.now += 10
    assert votes.enter(1).active == 80


def test_threads_and_two_stores_of_one_file_lose_nothing(tmp_path: Path) -> None:
    stores = [Votes(tmp_path / "v.sqlite") for _ in range(2)]

    def work(number: int) -> None:
        for i in range(10):
            stores[number % 2].vote(number, f"k{i}", "OBC", "left", 1e6)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores[0].all()) == 80
    for store in stores:
        store.close()


def test_the_file_is_in_wal_mode_and_synced(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "v.sqlite")
    assert votes._db().execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert votes._db().execute("PRAGMA synchronous").fetchone() == (2,)
