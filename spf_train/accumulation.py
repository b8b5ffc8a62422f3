"""The parts of a batch whose gradients are summed: as many as are asked for, or as the device's memory needs."""

from __future__ import annotations

from collections.abc import Callable

from spf_train.data import Batch
from spf_train.memory import first_line, halved, out_of_memory
from spf_train.processes import Processes


class Parts:
    """How many samples go through the networks at once.

    Where a part does not fit the device, the share of the batch is begun again in parts of half the size, from then
    on: twice the accumulation, the same batch, and, as losses are means over samples, the same gradient up to rounding.

    planned: the settings' micro_batch; None is the whole share at once.
    """

    def __init__(self, planned: int | None) -> None:
        self.planned = self.size = planned

    def go_through(self, batch: Batch, begin: Callable[[], None], add: Callable[[Batch], None], what: str) -> int:
        """Calls begin(), then add(part) with every part; returns how many parts there were.

        Raises ConfigError, naming `what`, where not even one sample fits.
        """
        while (failure := self._try(batch, begin, add)) is not None:
            begin()  # frees what the attempt has summed
            self.size = halved(min(self.size or len(batch), len(batch)), what, failure)
        return _count(len(batch), self.size)

    def planned_passes(self, batch: int, world: int) -> int:
        """Forward passes of `world` processes over a batch of that many samples, in the parts that were asked for."""
        shares = [range(batch)[Processes(rank, world).share(batch)] for rank in range(world)]
        return sum(_count(len(share), self.planned) for share in shares)

    def _try(self, batch: Batch, begin: Callable[[], None], add: Callable[[Batch], None]) -> str | None:
        """What the device said when memory ran out; None where it did not."""
        begin()
        try:
            for part in batch.split(self.size):
                add(part)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return first_line(error)
        return None


def _count(samples: int, size: int | None) -> int:
    return -(-samples // (size or samples))
