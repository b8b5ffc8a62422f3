"""Votes in SQLite: each participant has one for each question, and one that was confirmed is on disk."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spf_bench.errors import UserError

PAUSE = 120.0
"""Seconds of a pause that count as time spent: who leaves can come back."""
TABLES = """
CREATE TABLE IF NOT EXISTS participants (
    number INTEGER PRIMARY KEY, opened REAL NOT NULL, seen REAL NOT NULL, active REAL NOT NULL, finished REAL
);
CREATE TABLE IF NOT EXISTS votes (
    participant INTEGER NOT NULL, item TEXT NOT NULL, question TEXT NOT NULL, choice TEXT NOT NULL,
    seconds REAL NOT NULL, saved REAL NOT NULL, changes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (participant, item, question)
) WITHOUT ROWID;
"""
VOTE = """
INSERT INTO votes (participant, item, question, choice, seconds, saved) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET choice = excluded.choice, saved = excluded.saved, changes = changes + 1
WHERE choice != excluded.choice
"""


class ClosedError(Exception):
    """A ballot that takes no more votes; its text says why."""


@dataclass(frozen=True)
class Clock:
    """How far a participant is."""

    active: float
    """Seconds spent on the ballot."""
    seen: float
    """When they last did something, in seconds of the epoch."""
    finished: bool


class Votes:
    """The votes of a study; any number of threads and processes may use the same file.

    Args:
        path: The database; made where there is none.
        now: Seconds of the epoch.

    Raises:
        UserError: There is a file, and it is no database or a damaged one; or its place cannot be written.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path, self.now = path, now
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        with self._readable(), self._writing() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)

    def enter(self, participant: int) -> Clock:
        """Note that a participant opened the ballot, and return how far they are."""
        with self._writing() as db:
            return self._tick(db, participant)

    def vote(self, participant: int, item: str, question: str, choice: str, limit: float) -> float:
        """Write a vote, instead of the one this participant had for the question, and return the seconds left.

        Raises:
            ClosedError: The ballot was handed in, or its time, ``limit`` seconds, is over.
        """
        with self._writing() as db:
            before = self._clock(db, participant)
            clock = self._tick(db, participant)
            if clock.finished:
                raise ClosedError("finished")
            if clock.active >= limit:
                raise ClosedError("over")
            seconds = clock.active - (before.active if before else 0.0)
            db.execute(VOTE, (participant, item, question, choice, seconds, clock.seen))
            return limit - clock.active

    def finish(self, participant: int) -> None:
        """Hand a ballot in: it takes no more votes."""
        with self._writing() as db:
            self._tick(db, participant)
            db.execute("UPDATE participants SET finished = seen WHERE number = ? AND finished IS NULL", (participant,))

    def of(self, participant: int) -> dict[str, dict[str, str]]:
        """Return one participant's choices by item and question."""
        rows = self._db().execute("SELECT item, question, choice FROM votes WHERE participant = ?", (participant,))
        found: dict[str, dict[str, str]] = {}
        for item, question, choice in rows:
            found.setdefault(item, {})[question] = choice
        return found

    def all(self) -> list[tuple[int, str, str, str, float]]:
        """Return every vote: participant, item, question, choice, seconds it took."""
        order = "SELECT participant, item, question, choice, seconds FROM votes ORDER BY participant, item, question"
        with self._readable():
            return self._db().execute(order).fetchall()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Say of a file that cannot be used, is no database, or a damaged one, what became of it."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                fix = "see that its folder can be written and has space, then try again: votes that were taken are kept"
                raise UserError(f"cannot use {self.path}", str(error), fix) from error  # the disk's fault, or a lock's
            fix = "bring back a copy; what `sqlite3 FILE .recover` finds of the votes may be whole"
            raise UserError(f"the votes in {self.path} are damaged", str(error), fix) from error

    def _db(self) -> sqlite3.Connection:
        """Return the connection of this thread."""
        if not hasattr(self._local, "db"):
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")  # in WAL mode, NORMAL may lose the last votes when power fails
            self._local.db = db
            with self._lock:
                self._open.append(db)
        found: sqlite3.Connection = self._local.db
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on disk when the block is left, or never was."""
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _clock(self, db: sqlite3.Connection, participant: int) -> Clock | None:
        row = db.execute(
            "SELECT active, seen, finished IS NOT NULL FROM participants WHERE number = ?", (participant,)
        ).fetchone()
        return Clock(row[0], row[1], bool(row[2])) if row else None

    def _tick(self, db: sqlite3.Connection, participant: int) -> Clock:
        """Add the time since this participant was last seen, a long pause in part."""
        now, before = self.now(), self._clock(db, participant)
        if before is None:
            db.execute("INSERT INTO participants VALUES (?, ?, ?, 0, NULL)", (participant, now, now))
            return Clock(0.0, now, False)
        active = before.active + min(max(now - before.seen, 0.0), PAUSE)
        db.execute("UPDATE participants SET seen = ?, active = ? WHERE number = ?", (now, active, participant))
        return Clock(active, now, before.finished)
