"""What stages cost: seconds, the most memory in use at once, and whether batches had to be halved for it."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from spf_bench.files.store import read_json, write_json
from spf_bench.memory import FOLDER, Halving
from spf_bench.share import ALONE, Share

FILE = "costs.json"
MIB = 2**20
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(eq=False)  # of blocks within each other each is itself, also where their peaks are equal
class Peak:
    """The most memory in use at once since it was begun, in MiB."""

    device: str
    """Whose memory: allocated on ``cuda``, else resident of this process, libraries included."""
    mib: float = 0.0
    """What is known from before the gauge was last set back."""

    def so_far(self) -> float:
        """Return the peak up to now."""
        self.mib = max(self.mib, _cuda() if self.device.startswith("cuda") else _resident())
        return self.mib


_under_way: list[Peak] = []


@contextmanager
def peak_memory(device: str = "cpu") -> Iterator[Peak]:
    """Measure the peak of the block; blocks may lie within each other, though the gauges know only one beginning."""
    for outer in _under_way:
        outer.so_far()
    _set_back(device)
    peak = Peak(device)
    _under_way.append(peak)
    try:
        yield peak
    finally:
        for one in _under_way:
            one.so_far()
        _under_way.remove(peak)


@dataclass
class Meter:
    """Seconds, added up, and peak memory of the stages of a run, over all its interruptions."""

    folder: Path
    """Where it keeps what it knows."""
    device: str
    """Whose memory is measured."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage."""
    memory: dict[str, float] = field(default_factory=dict)
    """By stage, in MiB."""
    share: Share = ALONE
    """Of processes that were launched together, the main one's costs count."""

    @classmethod
    def of(cls, folder: Path, device: str, share: Share = ALONE) -> "Meter":
        """Return a meter that goes on from what earlier, interrupted attempts cost."""
        known = read_json(folder / FILE) if share.main and (folder / FILE).is_file() else {}
        return cls(folder, device, known.get("seconds", {}), known.get("memory", {}), share)

    def halving(self, say: Callable[[str], None]) -> Halving:
        """Return what computes the run's batches, halved where they do not fit; every process notes it here."""
        return Halving(self.folder / FOLDER, say)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's costs to ``name``, however the block ends."""
        start = time.monotonic()
        with peak_memory(self.device) as peak:
            try:
                yield
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
                self.memory[name] = max(self.memory.get(name, 0.0), peak.so_far())
                if self.share.main:
                    write_json(self.folder / FILE, {"seconds": self.seconds, "memory": self.memory})


def _cuda() -> float:
    import torch

    return torch.cuda.max_memory_allocated() / MIB


def _resident() -> float:
    """Return the process's high-water mark; where the system cannot set it back, that of its whole life."""
    if _STATUS.is_file():
        marks = [line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM")]
        if marks:
            return int(marks[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _set_back(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    try:
        _RESET.write_text("5")  # sets the high-water mark of resident memory to what is resident now
    except OSError:
        return
