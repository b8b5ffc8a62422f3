"""The anchors of Seg-Cons: what an image after JPEG and another seed score."""

import numpy as np
import pytest
import torch

from spf_bench.metrics.segcons import SegCons
from spf_bench.metrics.segcons_anchors import Anchors, after_jpeg, anchors
from tests.bench.metrics.stand_ins import ColourSegmenter, noise_pictures, triple
from tests.bench.metrics.test_segcons import NOTHING, A, B, painted, square

METRIC = SegCons(ColourSegmenter())


def test_floor_and_ceiling():
    scene, other = painted(A, B), painted(square(16, 8, 32), B)
    found = anchors(METRIC, [triple(0), triple(1)], [scene, scene], [other, scene])
    assert found.n == 2 and found.ceiling == pytest.approx(100, abs=3)
    assert found.floor is not None and 80 < found.floor < 100


def test_without_other_seeds_there_is_no_floor():
    assert anchors(METRIC, [triple(0)], [painted(A)]).floor is None


def test_nothing_measured_has_no_anchor():
    blank = painted(NOTHING)
    assert anchors(METRIC, [triple(0)], [blank], [blank]) == Anchors(None, None, 1)


def test_anchors_are_as_exact_as_scores():
    class Asked(SegCons):
        def score(self, batch):
            allowed.append(torch.backends.cudnn.allow_tf32)
            return super().score(batch)

    allowed: list[bool] = []
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        anchors(Asked(ColourSegmenter()), [triple(0)], [painted(A)], [painted(B)])
    assert allowed == [False, False]


def test_jpeg_loses_a_little():
    image = noise_pictures(1)[0]
    lossy, lossier = after_jpeg(image), after_jpeg(image, quality=10)
    errors = [np.abs(other.astype(int) - image).mean() for other in (lossy, lossier)]
    assert lossy.shape == image.shape and 0 < errors[0] < errors[1]
