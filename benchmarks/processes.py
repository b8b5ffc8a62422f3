"""How much sooner are two processes done than one, each with one thread: sampling, scoring, training?

    python -m benchmarks.processes [--triples 256] [--steps 24] [--repeats 3]

The embedded world on the CPU. Processes are forked once everything is imported, so that what is timed is the work, with
its waiting for each other at the end of every stage, and not the start of Python. Two need two cores that nobody else
uses: the table says how busy the machine was.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Found, options, ratio, tell
from spf_bench.environment import quiet

SUITE = "world"
WORLDS = (1, 2)
STAGES = ("originals", "generate", "score")
UNITS = {"originals": "image", "generate": "image", "score": "pair", "train": "update"}
Seconds = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--triples", type=int, default=256, help="sampled and scored")
    parser.add_argument("--batch", type=int, default=32, help="images sampled together, samples of an update")
    parser.add_argument("--steps", type=int, default=24, help="updates of stage 1, of the preset world")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.triples, asked.batch, asked.steps, asked.repeats = 4, 2, 1, 1
    import torch

    quiet()
    torch.set_num_threads(1)
    found: dict[int, list[Seconds]] = {world: [] for world in WORLDS}
    for turn in range(asked.repeats):
        for world in WORLDS[turn % 2 :] + WORLDS[: turn % 2]:
            found[world].append(measured(world, asked.triples, asked.batch, asked.steps))
    units = dict.fromkeys(STAGES, asked.triples) | {"train": 1}
    each = {
        world: {stage: statistics.median(one[stage] for one in turns) / units[stage] for stage in UNITS}
        for world, turns in found.items()
    }
    rows = [
        (stage, *(f"{each[world][stage]:.3f} s per {unit}" for world in WORLDS), ratio(each[1][stage], each[2][stage]))
        for stage, unit in UNITS.items()
    ]
    notes = (f"{len(os.sched_getaffinity(0))} cores may be used; others kept {os.getloadavg()[0]:.1f} busy on average",)
    head = ("stage", *(f"{world} process{'es' * (world > 1)}" for world in WORLDS), "sooner")
    tell(__doc__, asked, Found(head, rows, {str(world): figures for world, figures in each.items()}, notes))


def measured(world: int, triples: int, batch: int, steps: int) -> Seconds:
    """Seconds of every stage by that many processes, of training those of one update."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        forked(world, lambda: run(folder, triples, batch))
        forked(world, lambda: train(folder / "train", batch, steps))
        (record,) = folder.glob("*/prompt_only-*/record.json")
        seconds = json.loads(record.read_text())["seconds"]
        rows = [json.loads(row) for row in (folder / "train" / "log.jsonl").read_text().splitlines()]
    updates = [row["seconds"] for row in rows]
    return {stage: seconds[stage] for stage in STAGES} | {"train": statistics.median(updates[1:] or updates)}


def run(folder: Path, triples: int, batch: int) -> None:
    """Sample and score the first triples of the world's test set with the original model."""
    from spf_bench.method import get_method
    from spf_bench.progress import Silent
    from spf_bench.run.execute import execute
    from spf_bench.run.plan import Run
    from spf_bench.share import current
    from spf_bench.suite import get_suite
    from spf_bench.testset import load

    suite = get_suite(SUITE)
    testset, preset = load(suite.testset), suite.preset("default")
    plan = Run("prompt_only", get_method("prompt_only"), suite, testset, triples, preset, 0, folder, "cpu", batch)
    execute(plan, Silent(), current("cpu"))


def train(folder: Path, batch: int, steps: int) -> None:
    """Take some steps of the world's stage 1."""
    from spf_bench.suite import get_suite
    from spf_train.config import PRESETS
    from spf_train.data import Sample
    from spf_train.train import train_stage1

    suite = get_suite(SUITE)
    config = PRESETS[suite.preset("default").trainer].changed({"stage1": {"steps": steps, "batch": batch}})
    samples = [Sample(one.image, one.base, one.target) for one in suite.trainset(0, 2 * batch)]
    train_stage1(suite.pipeline, samples, config, folder, device="cpu")


def forked(world: int, work: Callable[[], None]) -> None:
    """Do some work in processes that are one launch; raises RuntimeError where one of them fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [_fork(rank, world, port, work) for rank in range(world)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise RuntimeError(f"processes ended with {codes}")


def _fork(rank: int, world: int, port: int, work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if world > 1:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
            os.environ["OMP_NUM_THREADS"] = "1"  # or accelerate gives each as many threads as there are cores
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
