"""Planning and filtering of a training set at the paper's size, on synthetic scores: time and memory.

python -m benchmarks.trainset_scale --rows 230000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from spf_bench.originals.share import Share
from spf_bench.progress import Silent
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.figures import Figures
from spf_bench.trainset.filters import Filters, Rule, Rules
from spf_bench.trainset.grammars import for_suite
from spf_bench.trainset.plan import Plan
from spf_bench.trainset.scores import Scores

RULES = Rules(Rule(0.3), Rule(0.8), Rule(0.8))


@contextmanager
def told(what: str) -> Iterator[None]:
    """Print how long something took, on the clock and on the processor, and the greatest memory so far."""
    begun, busy = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<8} {wall:7.1f} s   processor {cpu:6.1f} s   peak memory {peak:6.0f} MiB", flush=True)


def scored(work: Path, plan: Plan, name: str, asked: Callable[[], Iterator[np.ndarray]], seed: int) -> Scores:
    """Return synthetic scores on disk, in chunks as a scorer writes them."""
    scores = Scores(Stage.of(work, name, {}, plan.total), {})
    scores.stage.begin({})
    rng = np.random.default_rng(seed)
    for chunk, taking in enumerate(asked()):
        values = np.where(taking, rng.normal(size=len(taking)), np.nan)
        scores.stage.write_array(chunk, values.astype(np.float32))
    return scores


def main(argv: list[str] | None = None) -> None:
    """Plan and filter as many candidates as asked, in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=230_000, help="candidates")
    parser.add_argument("--suite", default="paper", help="whose grammar: paper or world")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plan = Plan(Stage.of(work, "plan", {}, args.rows), for_suite(args.suite), 0)
        plan.stage.begin({})
        with told("plan"):
            plan.make(Share(), Silent())
        match = scored(work, plan, "match", Filters(plan, {}, Rules(None, None, None)).everybody, 1)
        matching = Filters(plan, {"match": match}, Rules(RULES.match, None, None)).matching
        scores = {"match": match, "hps": scored(work, plan, "hps", matching, 2)}
        scores["image_reward"] = scored(work, plan, "image_reward", matching, 3)
        with told("filter"):
            figures = Figures.of(Filters(plan, scores, RULES))
        print(f"kept     {figures.kept:,} of {figures.total:,}")


if __name__ == "__main__":
    main()
