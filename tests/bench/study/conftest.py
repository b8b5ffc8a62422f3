"""A small study of finished runs, and a server for it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spf_bench.study.make import Order, make
from spf_bench.study.model import Study
from spf_bench.study.plan import Ask
from tests.bench.showcase import METHODS, show

COMPARED = [name for name in METHODS if name != "original"]
SMALL = Ask(participants=4, pairs=6, checks=2, raters=2)


@dataclass(frozen=True)
class Made:
    """A study and where it lies."""

    study: Study
    folder: Path
    runs: Path


def made(root: Path, size: Ask = SMALL, **order: object) -> Made:
    """Make a study of the showcase."""
    runs, frozen = show(root)
    folder = root / "study"
    wanted = Order(runs, folder, size, testset=str(frozen.folder), **order)  # type: ignore[arg-type]
    return Made(make(wanted), folder, runs)


@pytest.fixture
def small(tmp_path: Path) -> Made:
    return made(tmp_path)


@dataclass(frozen=True)
class Served:
    """A study behind a server that runs."""

    made: Made
    url: str

    def of(self, participant: int) -> str:
        """Return the address of somebody's ballot."""
        return f"{self.url}/b/{self.made.study.ballots[participant].code}/"


def served(made: Made) -> Iterator[Served]:
    """Serve a study on loopback while the generator is open."""
    pytest.importorskip("flask", reason="Flask is not installed")
    pytest.importorskip("waitress", reason="waitress is not installed")
    from spf_bench.study.server import port_of, serve

    server = serve(made.folder, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield Served(made, f"http://127.0.0.1:{port_of(server)}")
    server.close()
