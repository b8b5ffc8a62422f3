"""How long do planning and filtering a training set of the paper's size take, and how much memory?

    python -m benchmarks.trainset_scale --rows 230000

The scores are synthetic.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import keep, options
from spf_bench.progress import Silent
from spf_bench.share import Share
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.figures import Figures
from spf_bench.trainset.filters import Filters, Rule, Rules
from spf_bench.trainset.grammars import for_suite
from spf_bench.trainset.plan import Plan
from spf_bench.trainset.scores import Scores

RULES = Rules(Rule(0.3), Rule(0.8), Rule(0.8))


@contextmanager
def timed(what: str, told: dict[str, dict[str, float]]) -> Iterator[None]:
    """Print and note how long something took, by the clock and of the processor, and the greatest memory so far."""
    begun, busy = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told[what] = {"wall": round(wall, 2), "cpu": round(cpu, 2), "peak_mib": round(peak)}
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan and filter as many candidates as asked, in a temporary folder."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=230_000, help="candidates")
    parser.add_argument("--suite", default="paper", help="whose grammar: paper or world")
    args = parser.parse_args(arguments)
    if args.quick:
        args.rows = 200
    told: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plan = Plan(Stage.of(work, "plan", {}, args.rows), for_suite(args.suite), 0)
        plan.stage.begin({})
        with timed("plan", told):
            plan.make(Share(), Silent())
        match = scored(work, plan, "match", Filters(plan, {}, Rules(None, None, None)).everybody, 1)
        matching = Filters(plan, {"match": match}, Rules(RULES.match, None, None)).matching
        scores = {"match": match, "hps": scored(work, plan, "hps", matching, 2)}
        scores["image_reward"] = scored(work, plan, "image_reward", matching, 3)
        with timed("filter", told):
            figures = Figures.of(Filters(plan, scores, RULES))
        print(f"kept     {figures.kept:,} of {figures.total:,}")
    keep(__doc__, args, {**told, "kept": figures.kept})


if __name__ == "__main__":
    main()
