"""Chooses LoRA's rank: every rank is trained, sampled and scored on validation triples, as a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from baselines.search import RATED_BY, SCORE, score_of
from spf_bench.errors import UserError
from spf_bench.method import Method, TrainJob
from spf_bench.suite import Suite

if TYPE_CHECKING:
    from spf_bench.record import RunRecord
    from spf_bench.testset import TestSet


def choose(job: TrainJob, candidates: dict[int, Method], seed: int, limit: int | None) -> dict[str, Any]:
    """Return the rank with the highest score ("rank"), the whole curve, and how it was scored.

    job: the training that the rank is wanted for.
    candidates: the method at each rank.
    seed: of the trainings compared. limit: validation triples to score on; None is all.

    Raises:
        UserError: The suite has no validation triples, or no metrics that tell response from preservation.
    """
    from baselines.original import Original

    testset = validation_of(job.suite)
    floor = _means(_run(job, testset, Original(), seed, limit))
    curve = []
    for rank, method in sorted(candidates.items()):
        record = _run(job, testset, method, seed, limit)
        scores, training = _means(record), record.training[method.name]
        point = {"rank": rank, "score": round(score_of(scores, floor), 6), "run": record.run}
        point |= {name: round(scores[name]["mean"], 4) for name in RATED_BY}
        point |= {name: training[name] for name in ("trainable_parameters", "seconds")}
        curve.append(point)
    return {"rank": best(curve), "curve": curve, "score": SCORE, "testset": testset.name, "seed": seed, "limit": limit}


def best(curve: Sequence[dict[str, Any]]) -> int:
    """Return the rank of the highest score; of equal ones the smallest, which changes least."""
    return int(min(curve, key=lambda point: (-point["score"], point["rank"]))["rank"])


def check(suite: Suite) -> None:
    """See to it that ranks can be compared in a suite.

    Raises:
        UserError: It has no validation triples, or no metrics that tell response from preservation.
    """
    if suite.validation is None:
        raise _no_choice(f"the suite {suite.name!r} has no validation triples")
    if missing := suite.lacking(RATED_BY):
        raise _no_choice(f"the suite {suite.name!r} does not measure {' and '.join(missing)}")


def validation_of(suite: Suite) -> TestSet:
    """Return a suite's validation triples, never its test set; raises UserError where it has none."""
    from spf_bench.testset import load

    if suite.validation is None:
        raise _no_choice(f"the suite {suite.name!r} has no validation triples")
    return load(suite.validation)


def _no_choice(why: str) -> UserError:
    return UserError("the best rank cannot be chosen", why, "--set rank=16, or another rank from 4 to 128")


def _run(job: TrainJob, testset: TestSet, method: Method, seed: int, limit: int | None) -> RunRecord:
    """Do one run on the validation triples beside the runs that this job belongs to."""
    from spf_bench.run.execute import execute
    from spf_bench.run.plan import Run

    runs = job.artifacts.root.parent.parent  # RUNS/cache/checkpoints
    run = Run(method.name, method, job.suite, testset, limit, job.preset, seed, runs, job.device)
    return execute(run, job.progress)


def _means(record: RunRecord) -> dict[str, Any]:
    from spf_bench.table.model import ALL

    scores = record.scores[ALL]
    if missing := [name for name in RATED_BY if name not in scores or scores[name].mean is None]:
        raise _no_choice(f"nothing of {' and '.join(missing)} could be measured")
    return {name: {"mean": scores[name].mean} for name in RATED_BY}
