"""Out of memory on a device: what does not fit is halved and computed in parts, and how far is noted."""

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from spf_bench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")
FOLDER = "halved"
SAID = re.compile(r"out of memory|not enough memory|ALLOC_FAILED|[Ff]ailed to allocate|bad_alloc")
"""How libraries without an error of their own for it say it: cuBLAS, cuDNN, ONNX Runtime, PyTorch on CPU and MPS."""


class Halving:
    """Computes batches in parts that fit: a size that did not fit once is halved, and stays so for its stage.

    Args:
        folder: Where sizes are noted, a file each, so that neither kills nor processes that work side by side lose
            one; None keeps them in memory.
        say: Told of every halving.
    """

    def __init__(self, folder: Path | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        self.folder, self.say = folder, say
        self._sizes: dict[str, int] = noted(folder)

    def of(self, stage: str, items: Sequence[T], compute: Callable[[Sequence[T]], R]) -> list[R]:
        """Return what ``compute`` makes of the items, in their order: in one part, or in as many as are needed.

        Raises:
            UserError: Not even one item fits.
        """
        return list(self._parts(stage, items, compute))

    def joined(self, stage: str, items: Sequence[T], compute: "Callable[[Sequence[T]], Tensor]") -> "Tensor":
        """Return the tensors that ``of`` returns, one after another [N, ...]."""
        import torch

        parts = self.of(stage, items, compute)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _parts(self, stage: str, items: Sequence[T], compute: Callable[[Sequence[T]], R]) -> Iterator[R]:
        start = 0
        while start < len(items):
            part = items[start : start + self._sizes.get(stage, len(items))]
            failure = ""
            try:
                made = compute(part)
            except Exception as error:  # ONNX Runtime's are of no common kind
                if not out_of_memory(error):
                    raise
                failure = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if failure:  # only here: the error's traceback held on to all that the attempt had allocated
                self._halve(stage, len(part), failure)
                continue
            yield made
            start += len(part)

    def _halve(self, stage: str, size: int, failure: str) -> None:
        release()
        if size == 1:
            fix = "free the device, or use another one (--device), or less precision where the command has an option"
            raise UserError(f"{stage}: not even one image at a time fits the device's memory", failure, fix)
        self._sizes[stage] = (size + 1) // 2
        self.say(f"{stage}: {size} images do not fit the device's memory, going on with {self._sizes[stage]} at a time")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{stage}-{self._sizes[stage]}").touch()


def noted(folder: Path | None) -> dict[str, int]:
    """Return what was halved, by stage: the most images that were computed at once after it; empty where all fitted."""
    found: dict[str, int] = {}
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        stage, _, size = path.name.rpartition("-")
        if stage and size.isdecimal() and int(size):
            found[stage] = min(int(size), found.get(stage, int(size)))
    return found


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error tells that a device, or the machine, has no memory left."""
    import torch

    if isinstance(error, UserError):
        return False
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(SAID.search(str(error)))


def release() -> None:
    """Give back what a failed attempt has left."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
