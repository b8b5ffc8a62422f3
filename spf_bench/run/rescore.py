"""Scores of a finished run, computed again by today's metrics: nothing is trained or sampled for it."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from spf_bench import record as records
from spf_bench import testset as testsets
from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.files.locks import hold
from spf_bench.originals.about import About
from spf_bench.originals.built import built
from spf_bench.originals.manifest import Manifest, joint_sha256
from spf_bench.progress import Progress
from spf_bench.run.costs import Meter
from spf_bench.run.measure import measure
from spf_bench.run.mend import mend
from spf_bench.run.sampled import IMAGES, Sampled, asked
from spf_bench.scoring.fingerprint import code, fingerprint
from spf_bench.share import ALONE
from spf_bench.suite import get_suite
from spf_bench.testset import TestSet
from spf_bench.triple import Triple, image


def rescore(folder: Path, runs: Path, device: str, progress: Progress) -> records.RunRecord | None:
    """Score the images of a finished run again and renew its record.

    Args:
        folder: The run's.
        runs: Folder of all runs and their cache.
        device: Where the judges run.
        progress: Shows how far the scores are.

    Returns:
        The new record; None where today's metrics have scored the run already.

    Raises:
        UserError: Its images, originals or test set are not here, or not those that were scored.
    """
    known = records.RunRecord.load(folder / records.RECORD)
    scoring = fingerprint(get_suite(known.suite))
    if known.scoring_code == code(scoring) and records.complete(folder):
        return None
    sampled = _sampled(known, folder, runs, device)
    with hold(folder, progress.note):
        mend(runs, folder, progress)
        meter = Meter(folder, device)
        with meter.stage("score"):
            measured = measure(sampled, progress, scoring, meter.halving(progress.note), ALONE)
        found = replace(
            known,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            **vars(measured),
            scoring=scoring,
            scoring_code=code(scoring),
            weights=known.weights | sampled.suite.digests,
            seconds=known.seconds | {name: round(value, 3) for name, value in meter.seconds.items()},
            memory=known.memory | {name: round(value, 1) for name, value in meter.memory.items()},
            scored_in=describe(device),
        )
        found.save(folder)
    return found


def _sampled(record: records.RunRecord, folder: Path, runs: Path, device: str) -> Sampled:
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
    suite = get_suite(record.suite).sampled_in(record.sampling.dtype)
    origin = {} if about is None else about.origin
    return Sampled(suite, triples, cases, folder, originals, origin, record.batch, runs / "cache", device)


def _testset(record: records.RunRecord) -> str:
    """Return what the test set of a run is loaded by: its command says where one lies that is not frozen here."""
    words = shlex.split(record.command)
    return words[words.index("--testset") + 1] if "--testset" in words[:-1] else record.testset.name


def _originals(record: records.RunRecord, testset: TestSet, triples: Sequence[Triple], runs: Path) -> Path:
    own = built(testset)
    for folder in [*([own] if own else []), *sorted((runs / "cache").glob("originals-*"))]:
        manifest = Manifest(folder)
        if joint_sha256(manifest.sums, triples) == record.originals_sha256:
            if len(manifest.sound(triples)) < len(triples):
                raise UserError("its original portraits are not as they were made", fix=record.command)
            return folder
    raise UserError("its original portraits are not here", fix=record.command)
