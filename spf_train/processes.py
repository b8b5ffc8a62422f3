"""The processes that train together, as `accelerate launch` (or torchrun) started them; one alone without it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch import Tensor

from spf_train.errors import ConfigError

# One process may encode, sample or write for hours while the others wait for it.
PATIENCE = timedelta(days=30)
BUCKET = 32 * 1024**2  # elements summed at once: enough for the network's full speed, 128 MB of memory
PLAIN = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)


_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """Context in which this process trains by itself, though it was launched together with others."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


@contextmanager
def _together() -> Iterator[None]:
    """Says of a lost connection what it means; only the process that ended knows why."""
    try:
        yield
    except RuntimeError as error:
        why = "it says why, above or below"
        raise ConfigError("another process has ended", why, "mend that, then run the same again to resume") from error


@dataclass(frozen=True)
class Processes:
    """This process among all.

    rank: its number, from 0; the main process is 0.
    world: how many there are.
    device: what accelerate gave it to compute on; None for one alone, which may choose.
    """

    rank: int = 0
    world: int = 1
    device: str | None = None

    @classmethod
    def current(cls) -> Processes:
        """What the environment says; connects to the others on the first call.

        Raises ConfigError where the launcher wants to split the model: only data is split here.
        """
        if _apart.get():
            return cls()
        on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
        state = PartialState(cpu=on_cpu or not torch.cuda.is_available(), timeout=PATIENCE)
        if state.distributed_type not in PLAIN:
            why = f"{state.distributed_type.value} is asked for, and every process holds the whole model here"
            raise ConfigError("cannot train with this launcher", why, "use accelerate launch --multi_gpu")
        if state.num_processes == 1:
            return cls()
        return cls(state.process_index, state.num_processes, str(state.device))

    @property
    def main(self) -> bool:
        """Whether this process writes, logs and samples for all."""
        return self.rank == 0

    def place(self, device: str | None) -> str | None:
        """The device to compute on where the user asks for `device`: each process has a GPU of its own."""
        if self.device is None or (device is not None and torch.device(device).type != torch.device(self.device).type):
            return device
        return self.device

    def barrier(self) -> None:
        """Returns when all processes have called it."""
        if self.world > 1:
            with _together():
                PartialState().wait_for_everyone()

    def share(self, samples: int) -> slice:
        """This process's part of a batch; the parts differ by one sample at most."""
        return slice(self.rank * samples // self.world, (self.rank + 1) * samples // self.world)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place."""
        if self.world > 1:
            with _together():
                dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.world == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.device)))

    @torch.no_grad()
    def sum_gradients(self, weights: Collection[Tensor]) -> None:
        """Sums the gradients of all processes; a weight that has one nowhere keeps none."""
        if self.world == 1:
            return
        counts = self.sum(torch.tensor([float(weight.grad is not None) for weight in weights], device=self.device))
        used = [weight for weight, count in zip(weights, counts.tolist(), strict=True) if count]
        for weight in used:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        for bucket in _buckets([weight.grad for weight in used if weight.grad is not None]):
            total = self.sum(torch.cat([gradient.reshape(-1) for gradient in bucket]))
            for gradient, part in zip(bucket, total.split([g.numel() for g in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The gradients in lists of about BUCKET elements."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        bucket.append(gradient)
        if sum(each.numel() for each in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
