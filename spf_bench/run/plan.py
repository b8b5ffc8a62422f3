"""What a run is before it takes place: what is asked for, and the folder named after all that decides its pixels."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench.environment import describe
from spf_bench.files.store import code_sha256, digest, folder_sha256
from spf_bench.method import Method
from spf_bench.originals.about import About, origin
from spf_bench.originals.built import built, manifest_sha256
from spf_bench.run.given import Given
from spf_bench.run.sampled import IMAGES, Sampled
from spf_bench.suite import Preset, Suite
from spf_bench.testset import TestSet, reference
from spf_bench.tracks import Track, cases
from spf_bench.triple import Triple


@dataclass(frozen=True)
class Run:
    """One run, before or after it took place: what is asked for, and where it goes."""

    address: str
    """What ``--method`` calls the method: its name, or ``path.py:Class``."""
    method: Method
    """Which method runs."""
    suite: Suite
    """Base model, training images and judges."""
    testset: TestSet
    """Where the triples come from."""
    limit: int | None
    """Use only the first triples; None is all."""
    preset: Preset
    """Training budget."""
    seed: int
    """Seed of training."""
    runs: Path
    """Folder of all runs and their cache."""
    device: str
    """Where the networks run."""
    batch: int = 32
    """Images sampled together."""
    track: Track = Track.triples
    """What is asked of the method on each triple."""
    given: Given | None = None
    """The checkpoint to run with; None is the one that this run trains."""

    @property
    def trains(self) -> bool:
        """Whether the method makes a checkpoint in this run."""
        return self.method.trains and self.given is None

    @property
    def changes(self) -> list[str]:
        """What tells the run from others of its method: changed settings, and the checkpoint it was given."""
        return [*self.method.changes, *([f"checkpoint={self.given.short}"] if self.given else [])]

    @property
    def cache(self) -> Path:
        """Where originals, checkpoints and features lie, shared by all runs."""
        return self.runs / "cache"

    @cached_property
    def folder(self) -> Path:
        """The run's folder, named by a hash of everything that affects its pixels."""
        kind = "" if self.track is Track.triples else f"{self.track}-"
        return self.runs / self.testset.name / f"{self.method.name}-{kind}{digest(self.pixels, 8)}"

    @cached_property
    def pixels(self) -> dict[str, Any]:
        """Everything that affects the method's images."""
        method = type(self.method)
        facts = {
            **self.origin,
            "n": len(self.triples),
            "method": method.name,
            "config": self.method.config(self.preset),
            "code": code_sha256(method.file(), *method.code),
        }
        if self.track is not Track.triples:
            facts["track"] = [(case.id, case.base, case.target) for case in self.cases]
        if self.given is not None:
            facts["checkpoint"] = self.given.sha256
        return {**facts, **self.training} if self.trains else facts

    @cached_property
    def origin(self) -> dict[str, Any]:
        """Everything that affects the original portraits; of a built test set, the portraits themselves."""
        facts = origin(self.suite.pipeline, self.testset, self.suite.sampling, self.batch, self.device)
        folder = built(self.testset)
        return facts if folder is None else {**facts, "originals": manifest_sha256(folder, facts)}

    @property
    def about(self) -> About:
        """What is noted beside original portraits that this run makes."""
        return About(self.origin, reference(self.testset), self.suite.name, None, describe(self.device))

    @cached_property
    def training(self) -> dict[str, Any]:
        """Everything that affects a checkpoint besides a method's own settings."""
        return {
            "pipeline": folder_sha256(self.suite.pipeline),
            "clip": folder_sha256(self.suite.clip),
            "data": self.suite.trainset_facts(self.seed, self.preset.samples),
            "seed": self.seed,
            "device": self.device.split(":")[0],
            "trainer": code_sha256(*type(self.method).code),
        }

    @property
    def triples(self) -> tuple[Triple, ...]:
        """The triples of this run."""
        return self.testset.head(self.limit)

    @cached_property
    def cases(self) -> tuple[Triple, ...]:
        """What is asked of the method on these triples: one case each, or several."""
        return cases(self.track, self.triples, self.testset.triples, self.suite.go_together)

    @property
    def originals(self) -> Path:
        """Folder of the original portraits: a built test set's own, or one shared by all runs that sample alike."""
        return built(self.testset) or self.cache / f"originals-{digest(self.origin)}"

    @property
    def images(self) -> Path:
        """Folder of the method's portraits."""
        return self.folder / IMAGES

    @property
    def sampled(self) -> Sampled:
        """What metrics need to know of it; the run takes place first."""
        return Sampled(
            self.suite, self.triples, self.cases, self.folder, self.originals, self.origin, self.batch, self.cache,
            self.device,
        )  # fmt: skip

    @property
    def command(self) -> str:
        """The command that makes, or resumes, this run."""
        words = ["spf-bench run --method", self.address, "--suite", self.suite.name]
        words += ["--testset", shlex.quote(reference(self.testset))]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        if self.track is not Track.triples:
            words += ["--track", self.track.value]
        if self.given is not None:
            words += ["--checkpoint", shlex.quote(str(self.given.asked))]
        if self.trains:
            words += ["--preset", self.preset.name, "--seed", str(self.seed)]
        words += [word for change in self.method.changes for word in ("--set", shlex.quote(change))]
        return " ".join(words)
