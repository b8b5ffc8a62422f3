"""Who does which part of the work: this process among those that ``accelerate launch`` started, and among shards.

Images and scores go through files. Over the wire go only what the main process decides, and that all have come so far.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from spf_bench.errors import UserError

T = TypeVar("T")
PATIENCE = timedelta(days=30)  # one may train or sample for weeks while the others wait; who ends is noticed at once
HEARING = timedelta(seconds=10)
TURNS = itertools.count()
"""Numbers exchanges, alike in all processes of a launch."""
SHARD = re.compile(r"([1-9]\d{0,4})/([1-9]\d{0,4})")


@dataclass(frozen=True)
class Share:
    """This process's part of a list of batches, the same list in every process."""

    rank: int = 0
    """Its number among the processes that were launched together."""
    world: int = 1
    """How many were."""
    device: str | None = None
    """What the launcher gave it to compute on."""
    shard: int = 0
    """Which part of the work all of them do, from 0."""
    shards: int = 1
    """Of how many parts, each done by a launch of its own."""

    @property
    def main(self) -> bool:
        """Whether this process speaks for all that were launched together."""
        return self.rank == 0

    def of_shards(self, batches: Sequence[T]) -> list[T]:
        """Return the batches of this shard."""
        return list(batches[self.shard :: self.shards])

    def of_processes(self, batches: Sequence[T]) -> list[T]:
        """Return this process's batches among those that its shard has left to do."""
        return list(batches[self.rank :: self.world])

    def refuse_company(self) -> None:
        """Refuse to do alone what others of the same launch are about to do as well.

        Raises:
            UserError: This process is to work alone, and was launched with others.
        """
        if self.world == 1 and os.environ.get("RANK", "0") != "0":
            fix = "start it without accelerate launch; run, score, train, testset build and trainset build share work"
            raise UserError("this command is one process's", "several were launched", fix)

    def wait(self) -> None:
        """Return when all processes that were launched together have called it.

        Raises:
            UserError: One of them has ended.
        """
        if self.world > 1:
            from accelerate import PartialState

            with _together():
                PartialState().wait_for_everyone()

    def once(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns in the main process, the only one that calls it; the others wait for it.

        Raises:
            UserError: The main process, or another one, has ended.
        """
        if self.world == 1:
            return make()
        from accelerate.utils import broadcast_object_list

        told: list[T | None] = [make() if self.main else None]
        with _together():
            broadcast_object_list(told)
        self._heard()
        return told[0]  # type: ignore[return-value]

    def _heard(self) -> None:
        """Return in the main process once all others have heard it: one that ends before is taken for dead."""
        from torch.distributed import DistError, is_initialized
        from torch.distributed.distributed_c10d import _get_default_store

        if not is_initialized():  # then nothing was exchanged
            return
        store, turn = _get_default_store(), next(TURNS)
        with suppress(DistError):  # whoever has ended meanwhile is told of by the next exchange
            if self.main:
                store.wait([f"heard-{turn}-{rank}" for rank in range(1, self.world)], HEARING)
            else:
                store.set(f"heard-{turn}-{self.rank}", "")


ALONE = Share()


@contextmanager
def _together() -> Iterator[None]:
    """Say of a lost connection what it means; only the process that ended knows why."""
    try:
        yield
    except RuntimeError as error:
        why = "it says why, above or below"
        fix = "mend that, then run the same command again: what was done is kept"
        raise UserError("another process of this launch has ended", why, fix) from error


def current(device: str, shard: str | None = None) -> Share:
    """Return this process's share as the launcher's environment and ``--shard I/N`` say.

    Raises:
        UserError: That is no part of a whole.
    """
    match = SHARD.fullmatch(shard or "1/1")
    part, parts = (int(match[1]), int(match[2])) if match else (1, 0)
    if part > parts:
        raise UserError(f"--shard {shard} is no part of a whole", "", "give two numbers, such as 2/8")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Share(shard=part - 1, shards=parts)
    from accelerate import PartialState

    state = PartialState(cpu=not device.startswith("cuda"), timeout=PATIENCE)
    own = str(state.device) if device == "cuda" else device
    return Share(state.process_index, state.num_processes, own, part - 1, parts)
