"""Who makes which originals: this process among those that ``accelerate launch`` started, and among shards."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from spf_bench.errors import UserError

T = TypeVar("T")
PATIENCE = timedelta(days=2)  # the others may sample for hours after this process is done
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

    def wait(self) -> None:
        """Return when all processes that were launched together have called it."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


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
