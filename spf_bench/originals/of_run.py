"""The originals of a run: taken from where they are frozen or made, verified where a built test set has them."""

from contextlib import nullcontext
from pathlib import Path

from spf_bench.errors import Problem, UserError, quoted
from spf_bench.files.locks import LOCK, hold
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import About, begin
from spf_bench.originals.built import built
from spf_bench.originals.frozen import thaw
from spf_bench.originals.make import in_whole_batches, make_originals
from spf_bench.originals.manifest import Manifest, joint_sha256
from spf_bench.progress import Progress
from spf_bench.share import ALONE, Share
from spf_bench.testset import TestSet


def of_run(
    backbone: Backbone,
    testset: TestSet,
    n: int,
    about: About,
    folder: Path,
    progress: Progress,
    share: Share = ALONE,
) -> str:
    """See to the originals of a run's first ``n`` triples, and return their hash.

    Those of a built test set are verified, never made; those in the runs' cache are taken from what the test set was
    frozen with, or made, where they are not there.

    Raises:
        UserError: A built test set's originals are not all as they were built.
    """
    if folder != built(testset):
        with nullcontext() if _finished(testset, n, folder) else hold(folder, progress.note):  # two runs make them once
            share.once(lambda: _begin(testset, n, about, folder))
            found = make_originals(backbone, testset, n, folder, progress, about.origin["batch"], share)
        assert found is not None  # without shards nothing is left to others
        return found
    return share.once(lambda: _verified(testset, n, folder))


def _begin(testset: TestSet, n: int, about: About, folder: Path) -> None:
    begin(folder, about)
    thaw(testset, about.origin, in_whole_batches(testset, n, about.origin["batch"]), folder)


def _finished(testset: TestSet, n: int, folder: Path) -> bool:
    """Say whether nothing is left to do, a killed process's lock included: such a cache need not be writable."""
    return not (folder / LOCK).exists() and len(Manifest(folder).sound(testset.triples[:n])) == n


def _verified(testset: TestSet, n: int, folder: Path) -> str:
    manifest = Manifest(folder)
    states = {triple.id: manifest.state(triple) for triple in testset.triples[:n]}
    problems = [Problem(f"{key}.png", state, "") for key, state in states.items() if state is not None]
    if problems:
        fix = f"spf-bench testset verify {quoted(testset.folder)} --repair"
        raise UserError(f"{len(problems)} originals of {testset.folder} are not as they were built", "", fix, problems)
    found = joint_sha256(manifest.sums, testset.triples[:n])
    assert found is not None  # all of them are as they were noted
    return found
