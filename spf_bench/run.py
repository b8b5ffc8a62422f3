"""The straight line: train, originals, generate, score, record; each stage resumes where it stopped."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spf_bench import record as records
from spf_bench.artifacts import Artifacts
from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.method import TrainJob
from spf_bench.plan import Run
from spf_bench.progress import Progress, Stopwatch
from spf_bench.store import code_sha256, digest, folder_sha256, read_json, write_atomic, write_json, write_parquet

SCORING_CODE = ("spf_bench.metrics", "spf_bench.score", "spf_bench.stats")


@dataclass(frozen=True)
class Images:
    """Hashes of what was sampled."""

    originals_sha256: str
    """Of the original portraits."""
    images_sha256: str
    """Of the method's portraits."""
    facts: dict[str, Any]
    """What the method tells of these triples."""


@dataclass(frozen=True)
class Measured:
    """What the metrics said."""

    columns: list[records.Column]
    """The headline metrics in the order of a table."""
    scores: dict[str, dict[str, records.Score]]
    """By category, or ``all``: every score by its key."""


def execute(run: Run, progress: Progress) -> records.RunRecord:
    """Do what is not done yet of ``run`` and return its record.

    Raises:
        UserError: Weights are absent, or the method cannot do what was asked.
    """
    scoring = digest([code_sha256(*SCORING_CODE), _weights(run.suite.judges)])
    if (known := _finished(run, scoring)) is not None:
        progress.note(f"{run.method.title}: done before, in {run.folder}")
        return known
    watch = _stopwatch(run.folder)
    artifacts = Artifacts(run.cache / "checkpoints", run.training if run.method.trains else {})
    checkpoint = train(run, artifacts, progress)
    made = sample(run, checkpoint, watch, progress)
    with watch.stage("score"):
        measured = measure(run, progress)
    seconds = {f"train {name}": facts["seconds"] for name, facts in artifacts.used.items()} | watch.seconds
    folders = {"pipeline": run.suite.pipeline, "clip": run.suite.clip, **run.suite.judges}
    folders |= {"checkpoint": checkpoint} if checkpoint else {}
    record = records.RunRecord(
        schema=records.SCHEMA,
        run=run.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **_asked(run),
        **vars(made),
        **vars(measured),
        scoring=scoring,
        training=artifacts.used,
        weights=_weights(folders),
        seconds={name: round(value, 3) for name, value in seconds.items()},
        environment=describe(run.device),
    )
    record.save(run.folder)
    return record


def train(run: Run, artifacts: Artifacts, progress: Progress) -> Path | None:
    """Return the method's checkpoint, trained now or before; None for a method that does not train."""
    if not run.method.trains:
        return None
    suite = run.suite
    job = TrainJob(suite.pipeline, suite.clip, suite, run.preset, run.seed, run.device, artifacts, progress)
    return run.method.train(job)


def sample(run: Run, checkpoint: Path | None, watch: Stopwatch, progress: Progress) -> Images:
    """Make the originals and the method's images, as far as they are not there."""
    from spf_bench.backbone import Backbone
    from spf_bench.generate import generate, images_sha256, make_originals

    triples = run.triples
    backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
    with watch.stage("originals"):
        originals = make_originals(backbone, run.testset, len(triples), run.originals, progress, run.batch)
    run.method.scratch = run.cache / "methods"
    with watch.stage("generate"):
        generate(run.method, checkpoint, backbone, triples, run.originals, run.images, progress, run.batch)
    return Images(originals, images_sha256(run.images, triples), run.method.facts(backbone, triples))


def measure(run: Run, progress: Progress) -> Measured:
    """Score the images, keep scores and features in the run's folder, and return the numbers made of them."""
    from safetensors.torch import save_file

    from spf_bench.metrics.features import FeatureStore
    from spf_bench.score import Pair, score
    from spf_bench.triple import image

    pairs = [Pair(t, image(run.originals, t), image(run.images, t)) for t in run.triples]
    metrics = run.suite.metrics(run.device)
    task = progress.task("scores", len(pairs))
    found = score(pairs, metrics, FeatureStore(run.cache / "features"), on_batch=task.advance)
    write_parquet(run.folder / records.SCORES, found.table)
    write_atomic(run.folder / records.FEATURES, lambda part: save_file(found.features, part))
    return Measured([records.column_of(m) for m in metrics], records.recompute(run.folder, metrics))


def _finished(run: Run, scoring: str) -> records.RunRecord | None:
    """Return the record of ``run`` if it took place and today's metrics would score it alike."""
    path = run.folder / records.RECORD
    known = records.RunRecord.load(path) if path.is_file() else None
    return known if known is not None and known.scoring == scoring else None


def _asked(run: Run) -> dict[str, Any]:
    """Return the record's fields that were known before the run."""
    method, testset, trains = run.method, run.testset, run.method.trains
    config = method.config(run.preset)
    return {
        "command": run.command,
        "method": records.MethodFacts(
            method.name, method.title, method.source, config, trains, method.reference, list(method.changes)
        ),
        "suite": run.suite.name,
        "testset": records.TestSetFacts(testset.name, testset.sha256, len(testset.triples)),
        "n": len(run.triples),
        "limit": None if len(run.triples) == len(testset.triples) else run.limit,
        "preset": run.preset.name if trains else None,
        "seed": run.seed if trains else None,
        "sampling": run.suite.sampling,
        "batch": run.batch,
    }


def _stopwatch(folder: Path) -> Stopwatch:
    """Return a stopwatch that goes on from the seconds of earlier, interrupted attempts."""
    path = folder / "seconds.json"
    before = read_json(path) if path.is_file() else {}
    return Stopwatch(before, lambda seconds: write_json(path, seconds))


def _weights(folders: dict[str, Path]) -> dict[str, str]:
    missing = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if missing:
        raise UserError("weights are absent", ", ".join(missing), "spf-bench doctor")
    return {name: folder_sha256(folder) for name, folder in folders.items()}
