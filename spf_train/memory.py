"""Out of memory on a device: how errors say so, and batches computed in halves until they fit."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from spf_train.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")
# cuBLAS, cuDNN, and PyTorch on CPU and MPS have no error of their own for it.
SAID = re.compile(r"out of memory|not enough memory|ALLOC_FAILED")
FIX = "set gradient_checkpointing=true, mixed_precision=bf16 or trainable=lora, or free the device"
log = logging.getLogger(__name__)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and bool(SAID.search(str(error)))
    )


def first_line(error: BaseException) -> str:
    """What an error says, without the advice that follows."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def release() -> None:
    """Gives back what a failed attempt has left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(size: int, what: str, failure: str) -> int:
    """Half of a number of samples that did not fit, rounded up; says so. Raises ConfigError for one sample.

    what: what was computed. failure: what the device said.
    """
    release()
    if size == 1:
        raise ConfigError(f"{what}: not even one sample at a time fits the device's memory", failure, FIX)
    half = (size + 1) // 2
    log.warning("%s: %d samples do not fit the device's memory, going on with %d at a time", what, size, half)
    return half


class Fitting:
    """Computes items in parts; a size that did not fit once is halved from then on.

    what: what is computed, for messages.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.most: int | None = None

    def __call__(self, items: Sequence[T], compute: Callable[[Sequence[T]], R]) -> list[R]:
        """What `compute` makes of the items: in one part, or in as many as are needed."""
        made: list[R] = []
        start = 0
        while start < len(items):
            part, failure = items[start : start + (self.most or len(items))], ""
            try:
                made.append(compute(part))
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                failure = first_line(error)
            if failure:  # only here: the error's traceback held on to all that the attempt had allocated
                self.most = halved(len(part), self.what, failure)
            else:
                start += len(part)
        return made
