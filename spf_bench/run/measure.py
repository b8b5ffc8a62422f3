"""Scores of portraits that are there: measured, kept in the run's folder, and put together."""

from dataclasses import dataclass
from typing import Any

from spf_bench import record as records
from spf_bench.files.store import digest
from spf_bench.memory import Halving
from spf_bench.progress import Progress
from spf_bench.run.sampled import Sampled
from spf_bench.scoring import anchors
from spf_bench.scoring.fingerprint import code
from spf_bench.share import Share


@dataclass(frozen=True)
class Measured:
    """What the metrics said."""

    columns: list[records.Column]
    """The headline metrics in the order of a table."""
    scores: dict[str, dict[str, records.Score]]
    """By category, or ``all``: every score by its key."""
    anchors: dict[str, dict[str, Any]]
    """Floor and ceiling of metrics that have no scale of their own."""


def measure(of: Sampled, progress: Progress, halving: Halving, share: Share) -> Measured:
    """Score the images, keep scores and features in the run's folder, and return the numbers made of them."""
    from spf_bench.metrics.feature_store import FeatureStore
    from spf_bench.scoring import one_pass
    from spf_bench.scoring.one_batch import Pair
    from spf_bench.scoring.parts import Parts
    from spf_bench.triple import image, original

    pairs = [Pair(case, original(of.originals, case), image(of.images, case)) for case in of.cases]
    metrics = [m for m in of.suite.metrics(of.device) if not m.of_target or all(case.targets for case in of.cases)]
    task = progress.task("scores", sum(map(len, share.of_processes(one_pass.batches(pairs, one_pass.BATCH)))))
    features = of.cache / "features"
    parts = Parts(
        of.folder / "parts", digest([code(of.suite), of.suite.digests_on_request, [metric.key for metric in metrics]])
    )
    store = FeatureStore(features)
    found = one_pass.score(pairs, metrics, store, one_pass.BATCH, task.advance, parts, halving, share)

    def kept() -> Measured:
        records.keep(of.folder, found)
        parts.clear()
        ends = anchors.of_run(of, metrics, FeatureStore(features), progress, halving)
        return Measured([records.column_of(m) for m in metrics], records.recompute(of.folder, metrics), ends)

    return share.once(kept)
