"""Functions run by several processes at once, as `accelerate launch` would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

PRELOADED = ["spf_train.train", "tests.tiny", "pytest"]  # imported once; each process is forked from there
TIMEOUT = 60


def together(function: Callable[..., None], *arguments: Any, world: int = 2) -> list[int | None]:
    """Runs function(*arguments) in `world` processes; returns their exit codes. A process that hangs is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    members = [context.Process(target=_run, args=(rank, world, port, function, arguments)) for rank in range(world)]
    for member in members:
        member.start()
    for member in members:
        member.join(TIMEOUT)
    for member in members:
        member.kill()
        member.join()
    return [member.exitcode for member in members]


def _run(rank: int, world: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    function(*arguments)
