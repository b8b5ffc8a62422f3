"""Builds the originals of a test set: into the runs' cache, or as a test set that stands alone."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from spf_bench import testset as testsets
from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.files.locks import hold
from spf_bench.files.store import copy_file, digest
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import BUILD, About, begin, origin
from spf_bench.originals.built import IMAGES, built, caption_files
from spf_bench.originals.frozen import thaw
from spf_bench.originals.make import in_whole_batches, make_originals
from spf_bench.originals.manifest import MANIFEST
from spf_bench.progress import Progress
from spf_bench.run.generate import BATCH
from spf_bench.run.preflight import too_long
from spf_bench.share import Share
from spf_bench.suite import Suite
from spf_bench.testset import TRIPLES, TestSet

SHOWN = 20


@dataclass(frozen=True)
class Build:
    """What is to be built."""

    testset: TestSet
    """Where the captions come from."""
    suite: Suite
    """Whose sampling it is."""
    base_model: str | None
    """The base model as it was asked for; None is the suite's."""
    pipeline: Path
    """Where the base model lies."""
    to: Path | None
    """Folder of a test set that stands alone; None is the cache of ``runs``."""
    runs: Path
    """Folder of all runs and their cache."""
    limit: int | None
    """Build only the first triples; None is all."""
    device: str
    """Where the networks run."""
    batch: int = BATCH
    """Images sampled together."""
    share: Share = field(default_factory=Share)
    """This process's part of the work."""

    @cached_property
    def about(self) -> About:
        """What is noted beside the images."""
        facts = origin(self.pipeline, self.testset, self.suite.sampling, self.batch, self.device)
        captions = testsets.reference(self.testset)
        return About(facts, captions, self.suite.name, self.base_model, describe(self.device))

    @property
    def folder(self) -> Path:
        """Where the images go: what a run that samples alike looks into, or inside the new test set."""
        cached = self.runs / "cache" / f"originals-{digest(self.about.origin)}"
        return cached if self.to is None else self.to / IMAGES

    def check(self) -> None:
        """Refuse what cannot end well.

        Raises:
            UserError: Texts are too long for the base model, no run would look for the originals, or the folder
                holds something else.
        """
        triples = self.testset.head(self.limit)
        problems = list(too_long(self.pipeline, [text for one in triples for text in (one.base, one.prompt)]))
        if problems:
            what = f"{len(problems)} texts of {self.testset.name} are longer than the text encoder reads"
            raise UserError(what, fix="shorten them", problems=problems[:SHOWN])
        if self.to is None:
            self._refuse_unseen()
        elif built(self.testset) != self.folder:
            self._refuse_occupied(self.to)

    def _refuse_unseen(self) -> None:
        if built(self.testset):
            raise UserError(f"{self.testset.name} is built already", "", f"give --to {self.testset.folder} to go on")
        foreign = self.base_model is not None and self.pipeline != self.suite.pipeline
        own = type(self.suite).sampling.dtype
        if foreign or self.batch != BATCH or self.suite.sampling.dtype != own:
            why = f"it samples {BATCH} images of the suite's own base model together, in {own}"
            raise UserError("no run would look for these originals", why, "give --to DIR and run with --testset DIR")

    def _refuse_occupied(self, to: Path) -> None:
        theirs = to / TRIPLES
        if not to.exists() or (to.is_dir() and all(path.name.startswith(".") for path in to.iterdir())):
            return
        if not theirs.is_file() or theirs.read_bytes() != (self.testset.folder / TRIPLES).read_bytes():
            why = "it holds other captions" if theirs.is_file() else "it holds something else"
            raise UserError(f"cannot build in {to}", why, "choose another folder")

    def execute(self, progress: Progress) -> bool:
        """Make what is not there yet, and say whether every image asked for is."""
        self.share.wait()  # all have checked before anybody changes what there is to see
        backbone = Backbone.from_folder(self.pipeline, self.suite.sampling, self.share.device or self.device)
        shards = self.share.shards > 1  # which fill one folder side by side
        with nullcontext() if shards else hold(self.folder, progress.note):
            return self._fill(backbone, progress)

    def _fill(self, backbone: Backbone, progress: Progress) -> bool:
        self.share.once(self._begin)  # only now: a model that cannot be loaded leaves no folder behind
        n = len(self.testset.head(self.limit))
        whole = make_originals(backbone, self.testset, n, self.folder, progress, self.batch, self.share) is not None
        if whole and self.share.main and self.to is not None:
            seal(self.to)
        return whole

    def _begin(self) -> None:
        self._copy_captions()
        self.folder.mkdir(parents=True, exist_ok=True)
        begin(self.folder, self.about)
        if self.to is None:  # as a run would
            triples = in_whole_batches(self.testset, len(self.testset.head(self.limit)), self.batch)
            thaw(self.testset, self.about.origin, triples, self.folder)

    def _copy_captions(self) -> None:
        """Copy the captions' own files, byte for byte; the checksums come last."""
        if self.to is None or self.to.resolve() == self.testset.folder.resolve():
            return
        for name in caption_files(self.testset.folder):
            copy_file(self.testset.folder / name, self.to / name)
        testsets.seal(self.to, caption_files(self.testset.folder))


def seal(folder: Path) -> None:
    """Take the manifest of a built test set, and what it says of its build, among the checksums."""
    testsets.seal(folder, [*caption_files(folder), f"{IMAGES}/{MANIFEST}", f"{IMAGES}/{BUILD}"])
