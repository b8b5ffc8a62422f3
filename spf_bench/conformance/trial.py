"""A method under test: four triples of a suite, its model, and a small training, each made when first asked for."""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spf_bench.files.artifacts import Artifacts
from spf_bench.method import Method
from spf_bench.models.backbone import Backbone
from spf_bench.progress import Progress
from spf_bench.run.execute import train
from spf_bench.run.plan import Run
from spf_bench.suite import Suite
from spf_bench.testset import load
from spf_bench.triple import Triple

N = 4


@dataclass
class Trial:
    """What the checks of one method share."""

    address: str
    """What ``--method`` calls it."""
    make: Callable[[], Method]
    """Makes a new instance, as another process would."""
    suite: Suite
    """Model, samples and test set."""
    folder: Path
    """Where everything is written; empty at first."""
    device: str
    """Where the networks run."""
    progress: Progress
    """Where to show how far training is."""
    luck: int = 0
    """Seed of the global random state of the next sampling."""

    @cached_property
    def method(self) -> Method:
        """The instance under test."""
        return self.make()

    @cached_property
    def run(self) -> Run:
        """The run that the trial is a small one of."""
        suite = self.suite
        testset = load(suite.testset)
        return Run(self.address, self.method, suite, testset, N, suite.trial, 0, self.folder, self.device, N)

    @property
    def triples(self) -> tuple[Triple, ...]:
        """Four test cases."""
        return self.run.triples

    @cached_property
    def noise(self) -> Tensor:
        """Their initial noise [4, C, h, w]."""
        return torch.stack([self.backbone.noise_for(triple) for triple in self.triples])

    @cached_property
    def backbone(self) -> Backbone:
        """The suite's original model."""
        return self.new_backbone()

    @cached_property
    def originals(self) -> Tensor:
        """The original portraits [4, H, W, 3], made before the method was loaded for the first time."""
        return portraits(self.backbone, self.triples, self.noise)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Where the method's training goes, and what it tells of it."""
        return Artifacts(self.run.cache / "checkpoints", self.run.training)

    @cached_property
    def checkpoint(self) -> Path | None:
        """The method's checkpoint; None where it trains nothing."""
        return train(self.run, self.artifacts, self.progress)

    @cached_property
    def images(self) -> Tensor:
        """What the method makes of the triples [4, H, W, 3]."""
        return self.sample(self.triples, self.noise)

    def new_backbone(self) -> Backbone:
        """Load the suite's original model once more."""
        return Backbone.from_folder(self.suite.pipeline, self.suite.sampling, self.device)

    def sample(self, triples: Sequence[Triple], noise: Tensor, parts: int = 1) -> Tensor:
        """Return the method's images [B, H, W, 3], sampled in so many batches."""
        return self.sampled(self.method, self.backbone, self.checkpoint, triples, noise, parts)

    def sampled(
        self,
        method: Method,
        backbone: Backbone,
        checkpoint: Path | None,
        triples: Sequence[Triple],
        noise: Tensor,
        parts: int = 1,
    ) -> Tensor:
        """Load a method, sample and unload it as a run does, under another global random state each time."""
        _ = self.originals
        method.scratch = self.run.cache / "methods"
        step = len(triples) // parts
        self.luck += 1
        with scrambled(self.luck):
            method.load(backbone, checkpoint)
            try:
                starts = range(0, len(triples), step)
                made = [method.sample(backbone, triples[i : i + step], noise[i : i + step]) for i in starts]
                return torch.cat(made) if parts > 1 else made[0]
            finally:
                method.unload(backbone)

    def moved_checkpoint(self) -> Path | None:
        """Return the checkpoint at another place; nothing is left where it was made."""
        if self.checkpoint is None:
            return None
        moved = self.folder / "moved"
        shutil.move(self.checkpoint, moved)
        shutil.rmtree(self.artifacts.root)
        return moved


def portraits(backbone: Backbone, triples: Sequence[Triple], noise: Tensor) -> Tensor:
    """Return what the untouched model makes of the base texts [B, H, W, 3]."""
    return backbone.render(backbone.encode([triple.base for triple in triples]), noise)


@contextmanager
def scrambled(seed: int) -> Iterator[None]:
    """Context with other global random states; what depends on them shows."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
