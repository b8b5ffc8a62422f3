"""The straight line: train, originals, generate, score, record; each stage resumes where it stopped.

Of processes that were launched together, the main one decides, trains and records; all take their part of the batches
that are sampled and scored.
"""

from pathlib import Path

from spf_bench import record as records
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.intact import ended
from spf_bench.files.locks import hold
from spf_bench.memory import Halving
from spf_bench.method import TrainJob
from spf_bench.progress import Progress
from spf_bench.run import preflight
from spf_bench.run.costs import Meter
from spf_bench.run.measure import measure
from spf_bench.run.mend import mend
from spf_bench.run.plan import Run
from spf_bench.run.recorded import Images, recorded
from spf_bench.scoring.fingerprint import fingerprint, up_to_date
from spf_bench.share import ALONE, Share
from spf_bench.triple import image


def execute(run: Run, progress: Progress, share: Share = ALONE) -> records.RunRecord:
    """Do what is not done yet of ``run`` and return its record.

    Args:
        run: On the device of this process.
        progress: Shows how far this process is.
        share: This process among those launched together; all call this with the same run, and get the same record.

    Raises:
        UserError: Weights are absent, the method cannot do what was asked, another process has ended, or several were
            launched for a command that is one's.
    """
    share.refuse_company()
    run.suite.require()
    scoring = fingerprint(run.suite)
    if (known := share.once(lambda: _finished(run, progress))) is not None:
        return known
    preflight.check(run)
    with hold(run.folder, progress.note):
        # By whoever was waited for: the main process holds the folder for all.
        if (known := share.once(lambda: _finished(run, progress))) is not None:
            return known
        share.once(lambda: mend(run.runs, run.folder, progress))
        return _execute(run, scoring, progress, share)


def _execute(run: Run, scoring: str, progress: Progress, share: Share) -> records.RunRecord:
    meter = Meter.of(run.folder, run.device, share)
    artifacts = Artifacts(run.cache / "checkpoints", run.training if run.trains else {}, run.device, say=progress.note)
    checkpoint = share.once(lambda: train(run, artifacts, progress, share))
    halving = meter.halving(progress.note)
    made = sample(run, checkpoint, meter, halving, progress, share)
    if (known := share.once(lambda: _of_these(run, made, progress))) is not None:
        return known
    with meter.stage("score"):
        measured = measure(run.sampled, progress, halving, share)

    def record() -> records.RunRecord:
        told = recorded(run, scoring, artifacts, meter, checkpoint, made, measured)
        told.save(run.folder)
        return told

    return share.once(record)


def train(run: Run, artifacts: Artifacts, progress: Progress, share: Share = ALONE) -> Path | None:
    """Return the method's checkpoint, given, trained now or before; None for a method that does not train."""
    if run.given is not None:
        return run.given.folder
    if not run.method.trains:
        return None
    if share.world > 1:
        progress.note(f"{run.method.title}: one process trains, {share.world - 1} wait; `spf-bench train` shares that")
    suite = run.suite
    job = TrainJob(suite.pipeline, suite.clip, suite, run.preset, run.seed, run.device, artifacts, progress)
    return run.method.train(job)


def sample(
    run: Run,
    checkpoint: Path | None,
    meter: Meter,
    halving: Halving,
    progress: Progress,
    share: Share,
) -> Images:
    """Make the originals and the method's images, as far as they are not there."""
    from spf_bench.models.backbone import Backbone
    from spf_bench.originals.of_run import of_run
    from spf_bench.run.generate import generate, images_sha256

    cases, folder = run.cases, run.originals
    backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
    with meter.stage("originals"):
        originals = of_run(backbone, run.testset, len(run.triples), run.about, folder, progress, share)
    run.method.scratch = run.cache / "methods"
    with meter.stage("generate"):
        generate(
            run.method, checkpoint, backbone, cases, folder, run.images, progress, run.batch, share, halving
        )  # fmt: skip
    given = {"checkpoint": run.given.facts} if run.given else {}
    return share.once(
        lambda: Images(originals, images_sha256(run.images, cases), run.method.facts(backbone, cases) | given)
    )


def _finished(run: Run, progress: Progress) -> records.RunRecord | None:
    """Return the record of ``run`` if it took place, is whole, and today's metrics would score it alike."""
    known = _known(run)
    if known is None or not _images_whole(run):
        return None
    progress.note(f"{run.method.title}: done before, in {run.folder}")
    return known


def _known(run: Run) -> records.RunRecord | None:
    """Return the record of ``run`` if its scores are whole, and today's metrics would give them again."""
    if not records.complete(run.folder):
        return None
    known = records.RunRecord.load(run.folder / records.RECORD)
    return known if up_to_date(known, run.suite) else None


def _images_whole(run: Run) -> bool:
    """Say whether no image is gone or cut short; a finished run whose images were removed as a whole needs none."""
    return not run.images.is_dir() or all(ended(image(run.images, case)) for case in run.cases)


def _of_these(run: Run, made: Images, progress: Progress) -> records.RunRecord | None:
    """Return the record of ``run`` where it is of the very images that are there now."""
    known = _known(run)
    if known is None or (known.originals_sha256, known.images_sha256) != (made.originals_sha256, made.images_sha256):
        return None
    progress.note(f"{run.method.title}: its images are whole again, and those that its record is of")
    return known
