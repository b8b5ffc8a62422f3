"""Several processes that work as one launch, forked from the test: what it has patched is patched in them too."""

import os
import signal
import socket
import time
from collections.abc import Callable

from spf_bench.share import Share, current

LATEST = 60.0  # seconds until a process that hangs is killed


def launched(work: Callable[[Share], object], world: int = 2) -> tuple[list[int], float]:
    """Call ``work`` with each process's share; return their exit codes and the seconds until the last one ended.

    1 is a process that ended with an error, a negative number one that a signal ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    children = [_fork(rank, world, port, work) for rank in range(world)]
    ended: dict[int, int] = {}
    while len(ended) < world:
        for child in children:
            if child not in ended and (found := os.waitpid(child, os.WNOHANG))[0]:
                ended[child] = os.waitstatus_to_exitcode(found[1])
            elif child not in ended and time.monotonic() - start > LATEST:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return [ended[child] for child in children], time.monotonic() - start


def _fork(rank: int, world: int, port: int, work: Callable[[Share], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        from accelerate import PartialState

        PartialState._reset_state()  # as it was before the test's own process asked for it
        for name, value in (("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", world), ("MASTER_PORT", port)):
            os.environ[name] = str(value)
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        work(current("cpu"))
        code = 0
    finally:
        os._exit(code)
