"""One at a time: who works in a folder holds it, and whoever comes second waits and knows for whom.

The lock is the kernel's (flock), so it ends with its process, however that ends, and with the machine; no clock is
asked. The file beside it only says who holds it. What a killed process left is recognised and taken over.
"""

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from spf_bench.errors import UserError
from spf_bench.files.storage import explain
from spf_bench.files.store import alive

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
OFTEN = 0.2  # seconds between two looks
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_held: set[int] = set()


@dataclass(frozen=True)
class Holder:
    """A process that works in a folder."""

    pid: int
    """Its number."""
    host: str
    """The machine it runs on."""
    boot: str
    """Which start of that machine it belongs to; empty where the system does not tell."""
    since: str
    """When it began, UTC, ISO 8601."""
    command: str
    """What it runs."""

    @classmethod
    def me(cls) -> "Holder":
        """Return this process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), platform.node(), _boot(), now, " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since.replace('T', ' ').replace('+00:00', ' UTC')}"

    def fate(self) -> str:
        """Say why it holds the folder no more, though it never let go."""
        if self.host != platform.node():
            return f"if {self.host} still works there, stop one of the two"
        return "it was killed" if self.boot == _boot() else "the machine was restarted since"


@contextmanager
def hold(
    folder: Path,
    say: Callable[[str], None] = lambda text: None,
    patience: float | None = None,
    each: bool = False,
) -> Iterator[None]:
    """Hold ``folder`` for the block; of processes that were launched together, the first holds it for all.

    Args:
        folder: Made if it is not there.
        say: Told who is waited for, and whose place was taken.
        patience: Seconds to wait for whoever holds it; None waits as long as that works.
        each: Of processes that were launched together, one at a time.

    Raises:
        UserError: Somebody holds it longer than one has patience, or it cannot be written.
    """
    if not each and os.environ.get("RANK", "0") != "0":
        yield
        return
    handle = _acquire(folder, say, patience)
    _held.add(handle)
    try:
        yield
    finally:
        _held.discard(handle)
        if sys.platform == "win32":
            os.close(handle)  # an open file cannot be removed there
        (folder / LOCK).unlink(missing_ok=True)  # before it is free: what others have open then is no lock any more
        if sys.platform != "win32":
            os.close(handle)


def holder(folder: Path) -> Holder | None:
    """Return who holds a folder, or held it when killed; None where nobody does, or one that did not say yet."""
    try:
        return Holder(**json.loads((folder / LOCK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _acquire(folder: Path, say: Callable[[str], None], patience: float | None) -> int:
    start, told = time.monotonic(), None
    while (handle := _try(folder, say)) is None:
        who = holder(folder)
        if patience is not None and time.monotonic() - start >= patience:
            fix = "wait for it" + (f", or end it: kill {who.pid}" if who and who.host == platform.node() else "")
            raise UserError(f"{folder} is in use", f"by {who or 'another process'}", fix)
        if who is not None and who != told:
            say(f"waiting for {who}, which works in {folder}")
            told = who
        time.sleep(OFTEN)
    return handle


def _try(folder: Path, say: Callable[[str], None]) -> int | None:
    """Return the handle of a lock that was free; None where it is held."""
    handle = _open(folder)
    before = holder(folder)
    if not _lock(handle, before) or not _is_at(handle, folder / LOCK):
        os.close(handle)
        return None
    if before is not None:
        say(f"{folder} was left by {before}: {before.fate()}")
    _sign(handle, folder)
    return handle


def _sign(handle: int, folder: Path) -> None:
    try:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(asdict(Holder.me())).encode())
    except OSError as error:
        os.close(handle)
        raise explain(error, folder) or error from error


def _open(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise explain(error, folder) or error from error


def _lock(handle: int, before: Holder | None) -> bool:
    if sys.platform == "win32":
        return before is None or not _works(before)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return before is None or not _works(before)  # a disk without locks: believe what is written
    return True


def _works(who: Holder) -> bool:
    if who.host != platform.node():
        return True  # nobody can tell from here
    return who.boot == _boot() and alive(who.pid)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one of that name: its holder removes it when done."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _boot() -> str:
    return _BOOT.read_text().strip() if _BOOT.is_file() else ""


def _let_go() -> None:
    """Close a forked child's copies: it must not hold what its parent, once killed, holds no more."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)
