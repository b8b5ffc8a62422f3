"""What a run is before it takes place: what is asked for, and the folder named after all that decides its pixels."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench.method import Method
from spf_bench.store import code_sha256, digest, folder_sha256
from spf_bench.suite import Preset, Suite
from spf_bench.testset import TestSet
from spf_bench.triple import Triple

SAMPLING_CODE = ("spf_bench.backbone", "spf_bench.generate")


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

    @property
    def cache(self) -> Path:
        """Where originals, checkpoints and features lie, shared by all runs."""
        return self.runs / "cache"

    @cached_property
    def folder(self) -> Path:
        """The run's folder, named by a hash of everything that affects its pixels."""
        return self.runs / self.testset.name / f"{self.method.name}-{digest(self.pixels, 8)}"

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
        return {**facts, **self.training} if method.trains else facts

    @cached_property
    def origin(self) -> dict[str, Any]:
        """Everything that affects the original portraits."""
        return {
            "pipeline": folder_sha256(self.suite.pipeline),
            "testset": self.testset.sha256,
            "sampling": self.suite.sampling,
            "batch": self.batch,
            "device": self.device.split(":")[0],
            "sampling_code": code_sha256(*SAMPLING_CODE),
        }

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

    @property
    def originals(self) -> Path:
        """Folder of the original portraits, shared by all runs that sample alike."""
        return self.cache / f"originals-{digest(self.origin)}"

    @property
    def images(self) -> Path:
        """Folder of the method's portraits."""
        return self.folder / "images"

    @property
    def command(self) -> str:
        """The command that makes, or resumes, this run."""
        words = ["spf-bench run --method", self.address, "--suite", self.suite.name, "--testset", self.testset.name]
        if self.limit is not None:
            words += ["--limit", str(self.limit)]
        if self.method.trains:
            words += ["--preset", self.preset.name, "--seed", str(self.seed)]
        words += [word for change in self.method.changes for word in ("--set", shlex.quote(change))]
        return " ".join(words)
