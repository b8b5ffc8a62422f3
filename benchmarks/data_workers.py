"""Do 1 and 2 processes read training samples faster than stage 1 consumes them?

    python -m benchmarks.data_workers  # real shapes, 2,000 samples
    python -m benchmarks.data_workers --samples 230000 --latent 8 --width 8  # as many as the paper, narrow rows

The processes share each batch as those of one training do: every one draws the noise of all of it and reads its part
of the mapped rows. Beside them a stage-1 step: of Stable Diffusion 1.5's architecture at 512 px on a GPU, else of the
portrait world's model.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from benchmarks.data_pipeline import FreePipeline, write_samples
from benchmarks.measure import Found, options, ratio, tell
from spf_train.data import Prepared
from spf_train.dataset import open_dataset
from spf_train.order import sample_order
from spf_train.prepare import prepare

WORKERS = (1, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--width", type=int, default=768, help="of the text embeddings")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.samples, asked.latent, asked.width, asked.batch, asked.batches = 20, 8, 8, 4, 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_samples(folder / "folder", folder / "tars", asked.samples, 64)
        ready(folder, asked)
        rates = {f"{world} worker{'s' * (world > 1)}": rate(world, folder, asked) for world in WORKERS}
    wanted = consumption(asked.device, asked.batch, 1 if asked.quick else 5)
    rows = [(title, f"{found:,.0f}", ratio(found, wanted)) for title, found in rates.items()]
    rows.append((f"stage 1 on {asked.device} consumes", f"{wanted:,.1f}", ratio(wanted, wanted)))
    figures = {"samples_per_second": rates, "stage1_consumes": wanted}
    tell(__doc__, asked, Found((f"{asked.samples:,} samples", "samples/s", "ratio"), rows, figures), asked.device)


def ready(folder: Path, asked: argparse.Namespace) -> Prepared:
    """The samples as a run has them that found them encoded."""
    pipe = FreePipeline(asked.latent, asked.width, 64, torch.float16)
    return prepare(open_dataset(folder / "folder"), pipe, cache=folder / "cache")


def rate(world: int, folder: Path, asked: argparse.Namespace) -> float:
    """Samples per second of so many processes, from the first one's start to the last one's end."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(world), context.Queue()
    processes = [context.Process(target=read, args=(r, world, folder, asked, barrier, told)) for r in range(world)]
    for process in processes:
        process.start()
    spans: list[tuple[float, float]] = []
    while len(spans) < world:
        try:
            spans.append(told.get(timeout=1))
        except Empty:
            if any(process.exitcode for process in processes):
                raise RuntimeError("a process that reads samples has died") from None
    for process in processes:
        process.join()
    starts, ends = zip(*spans, strict=True)
    return asked.batch * asked.batches / float(max(ends) - min(starts))


def read(rank: int, world: int, folder: Path, asked: argparse.Namespace, barrier: Any, told: Any) -> None:
    """One process's part of every batch; tells when it started and ended."""
    torch.set_num_threads(1)
    prepared = ready(folder, asked)
    part = slice(rank * asked.batch // world, (rank + 1) * asked.batch // world)

    def draw(step: int) -> None:
        order = sample_order(0, step, asked.batch, len(prepared))
        prepared.batch(order, torch.Generator().manual_seed(step), 1000, part=part)

    draw(0)
    barrier.wait()
    started = time.monotonic()
    for step in range(asked.batches):
        draw(step)
    told.put((started, time.monotonic()))


def consumption(device: str, size: int, steps: int) -> float:
    """Samples per second of stage 1."""
    from benchmarks.gpu_train import STAGES, Step, timed
    from benchmarks.training_parts import Clock, Networks

    networks = Networks.sd15(device) if device.startswith("cuda") else Networks.world(device)
    precision = "fp16" if device.startswith("cuda") else "fp32"
    clock, batch = Clock(device), networks.batch(size)
    step = Step(STAGES["stage 1"](networks), precision, clock)
    step(batch)
    return size / statistics.median(timed(step, batch, clock) for _ in range(steps))


if __name__ == "__main__":
    main()
