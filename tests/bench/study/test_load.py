"""Fifty people at once lose no vote, and a server that is killed loses none it has confirmed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spf_bench.study.model import VOTES, Ballot
from spf_bench.study.plan import Ask
from spf_bench.study.votes import Votes
from tests.bench.study.conftest import Made, Served, made, served

pytest.importorskip("waitress", reason="waitress is not installed")
QUESTIONS = ("OBC", "TAR", "AP")
Confirm = Callable[[tuple[int, str, str, str]], None]


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Served]:
    yield from served(made(tmp_path, Ask(participants=50, pairs=1, checks=0)))


def fill(port: int, ballot: Ballot, confirm: Confirm) -> None:
    """Answer a whole ballot as a browser does, every third answer twice."""
    line = HTTPConnection("127.0.0.1", port, timeout=120)
    line.request("GET", f"/b/{ballot.code}/ballot")
    assert len(json.loads(line.getresponse().read())["items"]) == len(ballot.items)
    for number, item in enumerate(ballot.items):
        for place, question in enumerate(QUESTIONS):
            choice = ("left", "right")[(number + place + ballot.number) % 2]
            for _ in range(2 if place == 0 else 1):
                put(line, ballot, {"item": item.key, "question": question, "choice": choice})
            confirm((ballot.number, item.key, question, choice))
    line.close()


def put(line: HTTPConnection, ballot: Ballot, vote: dict[str, str]) -> None:
    line.request("PUT", f"/b/{ballot.code}/vote", json.dumps(vote), {"Content-Type": "application/json"})
    answer = line.getresponse()
    answer.read()
    if answer.status != 200:
        raise HTTPException(f"{answer.status}")


def everybody(port: int, ballots: tuple[Ballot, ...], work: Callable[[int, Ballot], None]) -> None:
    threads = [threading.Thread(target=work, args=(port, ballot)) for ballot in ballots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stored(folder: Path) -> set[tuple[int, str, str, str]]:
    votes = Votes(folder / VOTES)
    rows = votes.all()
    votes.close()
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:4] for row in rows}


def test_fifty_at_once_lose_no_vote_and_none_has_two(crowd: Served) -> None:
    confirmed: list[tuple[int, str, str, str]] = []
    ballots = crowd.made.study.ballots
    port = urlsplit(crowd.url).port or 0
    everybody(port, ballots, lambda port, ballot: fill(port, ballot, confirmed.append))
    assert len(confirmed) == 50 * 3
    assert stored(crowd.made.folder) == set(confirmed)


def test_a_killed_server_keeps_what_it_confirmed(tmp_path: Path) -> None:
    study = made(tmp_path, Ask(participants=8, pairs=30, checks=0))
    server, port = start(study)
    confirmed: list[tuple[int, str, str, str]] = []
    enough = threading.Event()

    def confirm(vote: tuple[int, str, str, str]) -> None:
        confirmed.append(vote)
        if len(confirmed) >= 25:
            enough.set()

    def work(port: int, ballot: Ballot) -> None:
        try:
            fill(port, ballot, confirm)
        except (OSError, HTTPException):
            enough.set()

    crowd = threading.Thread(target=everybody, args=(port, study.study.ballots, work))
    crowd.start()
    assert enough.wait(120)
    os.kill(server.pid, signal.SIGKILL)
    crowd.join()
    server.wait()
    assert 25 <= len(confirmed) < 8 * 30 * 3
    found = stored(study.folder)
    assert set(confirmed) <= found and len(found) <= len(confirmed) + 8  # at most one unconfirmed vote each


def start(study: Made) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server as a process of its own, and wait until it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = (sys.executable, "-m", "spf_bench.cli", "study", "serve", str(study.folder), "--port", str(port))
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return server, port
        time.sleep(0.05)
    server.kill()
    raise AssertionError("the server does not listen")
