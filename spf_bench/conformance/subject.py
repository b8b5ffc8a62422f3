"""A metric under test: four of a suite's training images as originals, four as customised ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spf_bench.metrics.base import Batch, SetMetric
from spf_bench.metrics.features import Image, pair
from spf_bench.metrics.guard import fitting
from spf_bench.metrics.plugins import AnyMetric
from spf_bench.suite import Suite
from spf_bench.testset import load

N = 4


@dataclass
class Subject:
    """What the checks of one metric share."""

    make: Callable[[], AnyMetric]
    """Makes the metric, ready for the suite."""
    suite: Suite
    """Where images and texts come from."""

    @cached_property
    def metric(self) -> AnyMetric:
        """The metric under test."""
        return self.make()

    @cached_property
    def images(self) -> list[Image]:
        """Four originals, then four customised images [H, W, 3]."""
        return [sample.image for sample in self.suite.trainset(0, 2 * N)]

    def batch(self, rows: Sequence[int], itself: bool = False) -> Batch:
        """Return test cases by number; the originals take the customised images' place with ``itself``."""
        triples = load(self.suite.testset).triples[:N]
        custom = [self.images[i + (0 if itself else N)] for i in rows]
        return Batch([triples[i] for i in rows], *pair([self.images[i] for i in rows], custom))

    def scores(self, rows: Sequence[int], itself: bool = False) -> dict[str, Tensor]:
        """Return every score, or feature of the customised images, of some test cases."""
        metric, batch = self.metric, self.batch(rows, itself)
        with torch.inference_mode():
            if isinstance(metric, SetMetric):
                return {"features": metric.features(batch.custom).double().cpu()}
            found = fitting(metric.score(batch), metric, len(rows))
            return {key: values.double().cpu() for key, values in found.items()}

    @cached_property
    def whole(self) -> dict[str, Tensor]:
        """The scores, or features, of all four."""
        return self.scores(range(N))

    def headline(self, itself: bool = False) -> Tensor:
        """Return the headline's scores [4], or that of the set [1]; of originals with themselves on request."""
        metric, batch = self.metric, self.batch(range(N), itself)
        if isinstance(metric, SetMetric):
            with torch.inference_mode():
                original, custom = (metric.features(side).float().cpu() for side in (batch.original, batch.custom))
            return torch.tensor([metric.compare(original, custom).value], dtype=torch.float64)
        return (self.scores(range(N), itself=True) if itself else self.whole)[metric.key]
