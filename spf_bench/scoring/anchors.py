"""The anchors of a run: what metrics without a scale of their own say of images that no method made.

They rest on the first originals of the run and on other portraits of the same texts from other noise. Both are the
same for every method, so they are made and measured once.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.files.store import code_sha256, digest, file_sha256, read_json, write_json, write_png
from spf_bench.memory import Halving
from spf_bench.triple import Triple, image

if TYPE_CHECKING:
    from spf_bench.metrics.base import Metric, SetMetric
    from spf_bench.metrics.feature_store import FeatureStore
    from spf_bench.progress import Progress
    from spf_bench.run.sampled import Sampled
    from spf_bench.scoring.one_batch import Pair

COUNT = 32
AWAY = 1_000_003  # added to a seed: no test set has two seeds that far apart


def of_run(
    run: "Sampled",
    metrics: "Sequence[Metric | SetMetric]",
    store: "FeatureStore",
    progress: "Progress",
    halving: Halving | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the anchors of every metric that has some, by its key; measured before, or now.

    The originals of the run must be there.
    """
    from spf_bench.metrics.base import Metric

    anchored = [metric for metric in metrics if isinstance(metric, Metric) and metric.anchored]
    triples = run.triples[:COUNT]
    if not anchored or not triples:
        return {}
    networks = [encoder.digest for metric in anchored for encoder in metric.encoders]
    code = code_sha256("spf_bench.metrics", "spf_bench.scoring.anchors")
    folder = run.cache / f"anchors-{digest([run.origin, [triple.id for triple in triples]])}"
    known = folder / f"{digest([code, networks])}.json"
    if not known.is_file():
        fitting = halving or Halving()
        reseed(run, triples, folder, progress, fitting)
        write_json(known, {metric.key: _measure(run, metric, triples, folder, store, fitting) for metric in anchored})
    return dict(read_json(known))


def of_originals(
    pairs: "Sequence[Pair]",
    metrics: "Sequence[Metric | SetMetric]",
    cache: Path,
    store: "FeatureStore",
    halving: Halving | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the upper anchor of every metric that has some, of the first originals; measured before, or now.

    The floor needs other portraits of the same texts, and so the base model.
    """
    from spf_bench.metrics.base import Metric
    from spf_bench.metrics.segcons_anchors import anchors
    from spf_bench.scoring.one_batch import read_rgb

    anchored = [metric for metric in metrics if isinstance(metric, Metric) and metric.anchored]
    first = pairs[:COUNT]
    if not anchored or not first:
        return {}
    facts = [(p.triple.id, p.triple.prompt, p.triple.target, file_sha256(p.original)) for p in first]
    networks = [(metric.key, encoder.digest) for metric in anchored for encoder in metric.encoders]
    code = code_sha256("spf_bench.metrics", "spf_bench.scoring.anchors")
    known = cache / f"anchors-{digest(facts)}" / f"{digest([code, networks])}.json"
    if not known.is_file():
        triples, originals = [p.triple for p in first], [read_rgb(p.original) for p in first]
        found = {m.key: asdict(anchors(m, triples, originals, None, store, halving)) for m in anchored}
        write_json(known, found)
    return dict(read_json(known))


def reseed(run: "Sampled", triples: Sequence[Triple], folder: Path, progress: "Progress", halving: Halving) -> None:
    """Make a portrait of each base text from other noise in ``folder``, as far as they are not there."""
    from spf_bench.models.backbone import Backbone
    from spf_bench.originals.make import render
    from spf_bench.run.generate import batches

    others = [replace(triple, seed=triple.seed + AWAY) for triple in triples]
    if all(image(folder, triple).is_file() for triple in others):
        return
    backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
    task = progress.task("anchors", len(others))
    for part in batches(others, run.batch):
        made = render(backbone, part, halving)
        for triple in part:
            write_png(image(folder, triple), made[triple.id])
        task.advance(len(part))


def _measure(
    run: "Sampled", metric: "Metric", triples: Sequence[Triple], folder: Path, store: "FeatureStore", halving: Halving
) -> dict[str, Any]:
    from spf_bench.metrics.segcons_anchors import anchors
    from spf_bench.scoring.one_batch import read_rgb

    originals, others = ([read_rgb(image(f, triple)) for triple in triples] for f in (run.originals, folder))
    return asdict(anchors(metric, triples, originals, others, store, halving))
