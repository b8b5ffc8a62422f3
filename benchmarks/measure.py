"""What benchmarks share: options, cases timed in turns, facts of the machine, a printed table and its JSON."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spf_bench.environment import describe
from spf_bench.files.store import write_json
from spf_bench.table.layout import grid, notes_below

Case = Callable[[], object]
MIB = 2**20


@dataclass(frozen=True)
class Timing:
    """Seconds of one case, a number for every repeat."""

    wall: tuple[float, ...]
    """By the clock on the wall."""
    cpu: tuple[float, ...]
    """Of the processor: this process with all its threads, and the processes that it waited for."""

    def seconds(self, device: str = "cpu") -> float:
        """The median: of the processor's seconds on a CPU, which others on the machine stretch least."""
        return statistics.median(self.wall if device.startswith("cuda") else self.cpu)

    def facts(self) -> dict[str, float]:
        """For the JSON: least and median of both clocks, rounded to a tenth of a millisecond."""
        pairs = (("wall", self.wall), ("cpu", self.cpu))
        return {f"{n}_{how.__name__}": round(how(s), 4) for n, s in pairs for how in (min, statistics.median)}


def alternate(cases: Mapping[str, Case], repeats: int, warm_up: int = 1, device: str = "cpu") -> dict[str, Timing]:
    """Time cases in turns, each repeat beginning with another: what else a machine does meets all of them alike.

    Args:
        cases: What to do, by name.
        repeats: Of each, at least 1.
        warm_up: Rounds before that are not counted.
        device: On an accelerator, a case ends when that has done its work.
    """
    names, found = list(cases), {name: list[tuple[float, float]]() for name in cases}
    for turn in range(-warm_up, repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            spent = timed(cases[name], device)
            if turn >= 0:
                found[name].append(spent)
    return {name: taken(spent) for name, spent in found.items()}


def taken(spent: Sequence[tuple[float, float]]) -> Timing:
    """The timing of several measured spans."""
    return Timing(tuple(wall for wall, _ in spent), tuple(cpu for _, cpu in spent))


def timed(case: Case, device: str = "cpu") -> tuple[float, float]:
    """Seconds of one case by the wall's clock and of the processor."""
    wall, cpu = time.perf_counter(), _processor()
    case()
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - wall, _processor() - cpu


def _processor() -> float:
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def child(command: Sequence[str], **named: Any) -> tuple[float, float, float]:
    """Seconds on the wall, processor seconds and peak resident MiB of a command; raises RuntimeError if it fails.

    The peak is never below what this process holds when it starts the other: whoever measures imports little.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **named) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit {process.returncode}:\n{said.decode()}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


@dataclass(frozen=True)
class Found:
    """What a benchmark has to say."""

    head: tuple[str, ...]
    """Titles of the columns."""
    rows: Sequence[tuple[str, ...]]
    """The table, as printed."""
    figures: dict[str, Any]
    """The numbers behind it, plain JSON types."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside them."""


def options(doc: str | None) -> argparse.ArgumentParser:
    """A command line with what every benchmark knows; `doc` is the text of its file."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all; its figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser


def tell(doc: str | None, asked: argparse.Namespace, found: Found, device: str = "cpu") -> None:
    """Print the table and its notes, and write the JSON where one was asked for."""
    print("\n".join([*grid([found.head, *found.rows]), *notes_below(found.notes)]), flush=True)
    keep(doc, asked, {**found.figures, "notes": list(found.notes)}, device)


def keep(doc: str | None, asked: argparse.Namespace, figures: Mapping[str, Any], device: str = "cpu") -> None:
    """Write figures with question, settings and machine, where that was asked for."""
    if asked.json is None:
        return
    question = (doc or "").partition("\n")[0]
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(asked).items()}
    settings.pop("json")
    write_json(
        asked.json, {"question": question, "settings": settings, "machine": machine(device), "figures": dict(figures)}
    )


def machine(device: str = "cpu") -> dict[str, Any]:
    """Code, packages, device, threads, the processor's name and how busy it was besides."""
    return {**asdict(describe(device)), "processor": _model(), "load": [round(load, 1) for load in os.getloadavg()]}


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not a Linux
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def ratio(more: float, less: float) -> str:
    """How many times `less` goes into `more`, in print."""
    return f"{more / max(less, 1e-9):.2f}x"
