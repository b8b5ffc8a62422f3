"""The straight line: train, originals, generate, score, record; each stage resumes where it stopped."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spf_bench import record as records
from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.intact import whole
from spf_bench.files.locks import hold
from spf_bench.files.store import digest, folder_sha256, write_atomic, write_parquet
from spf_bench.method import TrainJob
from spf_bench.progress import Progress
from spf_bench.run import preflight
from spf_bench.run.costs import Meter
from spf_bench.run.given import content_sha256
from spf_bench.run.mend import mend
from spf_bench.run.plan import Run
from spf_bench.scoring import anchors
from spf_bench.scoring.fingerprint import fingerprint


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
    anchors: dict[str, dict[str, Any]]
    """Floor and ceiling of metrics that have no scale of their own."""


def execute(run: Run, progress: Progress) -> records.RunRecord:
    """Do what is not done yet of ``run`` and return its record.

    Raises:
        UserError: Weights are absent, or the method cannot do what was asked.
    """
    scoring = fingerprint(run.suite)
    if (known := _finished(run, scoring, progress)) is not None:
        return known
    preflight.check(run)
    with hold(run.folder, progress.note):
        if (known := _finished(run, scoring, progress)) is not None:  # by whoever was waited for
            return known
        mend(run, progress)
        return _execute(run, scoring, progress)


def _execute(run: Run, scoring: str, progress: Progress) -> records.RunRecord:
    meter = Meter.of(run.folder, run.device)
    training = run.training if run.trains else {}
    artifacts = Artifacts(run.cache / "checkpoints", training, run.device, say=progress.note)
    checkpoint = train(run, artifacts, progress)
    made = sample(run, checkpoint, meter, progress)
    with meter.stage("score"):
        measured = measure(run, progress, scoring)
    seconds = {f"train {name}": facts["seconds"] for name, facts in artifacts.used.items()} | meter.seconds
    memory = {f"train {name}": facts["peak_memory_mib"] for name, facts in artifacts.used.items()} | meter.memory
    folders = {"pipeline": run.suite.pipeline, "clip": run.suite.clip}
    record = records.RunRecord(
        schema=records.SCHEMA,
        run=run.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **_asked(run),
        **vars(made),
        **vars(measured),
        scoring=scoring,
        training=artifacts.used,
        weights=_weights(folders)
        | ({"checkpoint": content_sha256(checkpoint)} if checkpoint else {})
        | run.suite.digests,
        seconds={name: round(value, 3) for name, value in seconds.items()},
        memory={name: round(value, 1) for name, value in memory.items() if value is not None},
        environment=describe(run.device),
    )
    record.save(run.folder)
    return record


def train(run: Run, artifacts: Artifacts, progress: Progress) -> Path | None:
    """Return the method's checkpoint, given, trained now or before; None for a method that does not train."""
    if run.given is not None:
        return run.given.folder
    if not run.method.trains:
        return None
    suite = run.suite
    job = TrainJob(suite.pipeline, suite.clip, suite, run.preset, run.seed, run.device, artifacts, progress)
    return run.method.train(job)


def sample(run: Run, checkpoint: Path | None, meter: Meter, progress: Progress) -> Images:
    """Make the originals and the method's images, as far as they are not there."""
    from spf_bench.models.backbone import Backbone
    from spf_bench.originals.of_run import of_run
    from spf_bench.run.generate import generate, images_sha256

    triples, cases = run.triples, run.cases
    backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
    with meter.stage("originals"):
        originals = of_run(backbone, run.testset, len(triples), run.about, run.originals, progress)
    run.method.scratch = run.cache / "methods"
    with meter.stage("generate"):
        generate(run.method, checkpoint, backbone, cases, run.originals, run.images, progress, run.batch)
    facts = run.method.facts(backbone, cases) | ({"checkpoint": run.given.facts} if run.given else {})
    return Images(originals, images_sha256(run.images, cases), facts)


def measure(run: Run, progress: Progress, scoring: str) -> Measured:
    """Score the images, keep scores and features in the run's folder, and return the numbers made of them."""
    from safetensors.torch import save_file

    from spf_bench.metrics.features import FeatureStore
    from spf_bench.scoring.one_pass import Pair, score
    from spf_bench.scoring.parts import Parts
    from spf_bench.triple import image, original

    pairs = [Pair(case, original(run.originals, case), image(run.images, case)) for case in run.cases]
    metrics = [m for m in run.suite.metrics(run.device) if not m.of_target or all(case.targets for case in run.cases)]
    task = progress.task("scores", len(pairs))
    store = FeatureStore(run.cache / "features")
    parts = Parts(run.folder / "parts", digest([scoring, [metric.key for metric in metrics]]))
    found = score(pairs, metrics, store, on_batch=task.advance, journal=parts)
    write_parquet(run.folder / records.SCORES, found.table)
    write_atomic(run.folder / records.FEATURES, lambda part: save_file(found.features, part))
    parts.clear()
    ends = anchors.of_run(run, metrics, store, progress)
    return Measured([records.column_of(m) for m in metrics], records.recompute(run.folder, metrics), ends)


def _finished(run: Run, scoring: str, progress: Progress) -> records.RunRecord | None:
    """Return the record of ``run`` if it took place, is whole, and today's metrics would score it alike."""
    from spf_bench.metrics import plugins

    if not all(whole(run.folder / name) for name in (records.RECORD, records.SCORES, records.FEATURES)):
        return None
    known = records.RunRecord.load(run.folder / records.RECORD)
    if known.scoring != scoring or plugins.lacking(column.key for column in known.columns):
        return None
    progress.note(f"{run.method.title}: done before, in {run.folder}")
    return known


def _asked(run: Run) -> dict[str, Any]:
    """Return the record's fields that were known before the run."""
    method, testset, trains = run.method, run.testset, run.trains
    config = {"checkpoint": run.given.sha256} if run.given else method.config(run.preset)
    return {
        "command": run.command,
        "method": records.MethodFacts(
            method.name, method.title, method.source, config, trains, method.reference, run.changes
        ),
        "suite": run.suite.name,
        "testset": records.TestSetFacts(testset.name, testset.sha256, len(testset.triples)),
        "track": run.track.value,
        "n": len(run.triples),
        "limit": None if len(run.triples) == len(testset.triples) else run.limit,
        "preset": run.preset.name if trains else None,
        "seed": run.seed if trains else None,
        "sampling": run.suite.sampling,
        "batch": run.batch,
    }


def _weights(folders: dict[str, Path]) -> dict[str, str]:
    missing = [str(folder) for folder in folders.values() if not folder.exists()]
    if missing:
        raise UserError("weights are absent", ", ".join(missing), "spf-bench doctor")
    return {name: folder_sha256(folder) for name, folder in folders.items()}
