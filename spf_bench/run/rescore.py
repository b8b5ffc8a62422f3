"""Scores of a finished run, computed again by today's metrics: nothing is trained or sampled for it."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spf_bench import record as records
from spf_bench import testset as testsets
from spf_bench.environment import describe
from spf_bench.errors import Problem, UserError
from spf_bench.facts import facts
from spf_bench.files.locks import hold
from spf_bench.files.store import folder_sha256
from spf_bench.memory import FOLDER, noted
from spf_bench.metrics import precision
from spf_bench.originals.about import About
from spf_bench.originals.built import built
from spf_bench.originals.manifest import Manifest, joint_sha256
from spf_bench.paper import ON_REQUEST
from spf_bench.progress import Progress
from spf_bench.record import RunRecord
from spf_bench.run.costs import Meter
from spf_bench.run.measure import measure
from spf_bench.run.mend import mend
from spf_bench.run.sampled import IMAGES, Sampled, asked
from spf_bench.scoring.fingerprint import code, fingerprint, up_to_date
from spf_bench.share import ALONE
from spf_bench.suite import Suite, get_suite
from spf_bench.testset import TestSet
from spf_bench.triple import Triple, image


def rescore(folder: Path, runs: Path, device: str, progress: Progress) -> RunRecord | None:
    """Score the images of a finished run again and renew its record.

    Args:
        folder: The run's.
        runs: Folder of all runs and their cache.
        device: Where the judges run.
        progress: Shows how far the scores are.

    Returns:
        The new record; None where today's metrics have scored the run already.

    Raises:
        UserError: Its images, originals or test set are not here, or not those that were scored; or it was scored in
            ways that today's settings do not ask for, and would lose columns.
    """
    known = RunRecord.load(folder / records.RECORD)
    suite = get_suite(known.suite)
    if up_to_date(known, suite) and records.complete(folder):
        return None
    if problems := list(_other_ways(known, suite)):
        raise UserError("it was scored in other ways than today's settings ask for", problems=problems)
    sampled = _sampled(known, suite, folder, runs, device)
    with hold(folder, progress.note):
        mend(runs, folder, progress)
        meter = Meter.of(folder, device)
        meter.seconds.pop("score", None)
        with meter.stage("score"):
            measured = measure(sampled, progress, meter.halving(progress.note), ALONE)
        found = replace(
            known,
            **vars(measured),
            scoring=fingerprint(suite),
            scoring_code=code(suite),
            weights=known.weights | suite.digests | suite.digests_on_request,
            seconds=known.seconds | {name: round(value, 3) for name, value in meter.seconds.items()},
            memory=known.memory | {name: round(value, 1) for name, value in meter.memory.items()},
            halved=known.halved | noted(folder / FOLDER),
            scored_in=describe(device),
        )
        found.save(folder)
    return found


def _other_ways(record: RunRecord, suite: Suite) -> Iterator[Problem]:
    """Name what a record says that scoring with today's settings would lose or change."""
    here = {metric.key for metric in facts()[0]}
    for key in (column.key for column in record.columns):
        if key in ON_REQUEST and key not in suite.on_request:
            yield Problem(key, "is scored on request", f"--also {key}")
        elif key not in here:
            yield Problem(key, "no metric of that name is here", "install the package that it came with")
    before = next((told.rpartition(" in ")[2] for told in record.weights.values() if " in " in told), precision.EXACT)
    if before != precision.asked():
        yield Problem("precision", f"was {before}", f"--precision {before}")
    if folder_sha256(suite.pipeline) != record.weights.get("pipeline"):
        yield Problem("base model", "was another one", "--base MODEL")


def _sampled(record: RunRecord, suite: Suite, folder: Path, runs: Path, device: str) -> Sampled:
    """Return the images of a run, and what they are compared with, as they were when they were scored.

    Raises:
        UserError: Some of it is not there, or not as it was.
    """
    from spf_bench.run.generate import images_sha256

    if record.facts.get("made") == records.ELSEWHERE:
        raise UserError("its images were made elsewhere", fix=record.command)
    testset = testsets.load(_testset(record))
    if testset.sha256 != record.testset.sha256:
        raise UserError(f"{testset.name} is not the version that it was run on", fix=record.command)
    cases, images = asked(record, testset), folder / IMAGES
    if not all(image(images, case).is_file() for case in cases):
        raise UserError("its images are not here", fix=record.command)
    if images_sha256(images, cases) != record.images_sha256:
        raise UserError("its images are not those that were scored", fix=record.command)
    triples = testset.head(record.limit)
    originals = _originals(record, testset, triples, runs)
    about = About.load(originals)
    origin = {} if about is None else about.origin
    suite = suite.sampled_in(record.sampling.dtype)
    return Sampled(suite, triples, cases, folder, originals, origin, record.batch, runs / "cache", device)


def _testset(record: RunRecord) -> str:
    """Return what the test set of a run is loaded by: its command says where one lies that is not frozen here."""
    words = shlex.split(record.command)
    return words[words.index("--testset") + 1] if "--testset" in words[:-1] else record.testset.name


def _originals(record: RunRecord, testset: TestSet, triples: Sequence[Triple], runs: Path) -> Path:
    own = built(testset)
    for folder in [*([own] if own else []), *sorted((runs / "cache").glob("originals-*"))]:
        manifest = Manifest(folder)
        if joint_sha256(manifest.sums, triples) == record.originals_sha256:
            if len(manifest.sound(triples)) < len(triples):
                raise UserError("its original portraits are not as they were made", fix=record.command)
            return folder
    raise UserError("its original portraits are not here", fix=record.command)
