"""The Hungarian variant: geometry by hand, the choice of regions, and the whole path."""

import numpy as np
import pytest
import torch

from spf_bench.metrics.segcons import Proposals
from spf_bench.metrics.segcons_hungarian import PromptedRegions, SegConsHungarian, automatic, boxes, matched
from tests.bench.metrics.stand_ins import ColourSegmenter, batch
from tests.bench.metrics.test_segcons import NOTHING, A, B, painted, square

NO_MASKS = torch.zeros(0, 128, 128, dtype=torch.bool)


def masks(*parts: torch.Tensor) -> torch.Tensor:
    return torch.stack(parts)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((A, B), (A, B), 1.0),
        ((A, B), (B, A), 1.0),  # a set has no order
        ((A, B), (square(16, 8, 32), B), (0.6 * 1024 + 256) / (1024 + 256)),
        ((A, B), (A,), 1024 / (1024 + 256)),  # B is lost
        ((A,), (A, B), 1024 / (1024 + 256)),  # B is new
        ((A,), (B,), 0.0),
        ((A,), (square(8, 8, 16),), 0.25),
    ],
)
def test_matching(a, b, expected):
    assert matched(masks(*a), masks(*b)) == pytest.approx(expected)
    assert matched(masks(*b), masks(*a)) == pytest.approx(expected)


def test_the_best_assignment_and_not_the_greedy_one():
    one, two = square(0, 0, 32), square(12, 0, 32)
    first, second = square(9, 0, 32), square(40, 0, 32)
    pairs = matched(masks(one, two), masks(first, second))
    iou = torch.tensor([[23 / 41, 0.0], [29 / 35, 4 / 60]])  # greedy takes 29/35 and leaves nothing for the other
    best = max(iou[0, 0] + iou[1, 1], iou[0, 1] + iou[1, 0]) / 2
    assert pairs == pytest.approx(float(best))


def test_nothing_on_one_side_and_on_both():
    assert matched(masks(A), NO_MASKS) == 0
    assert np.isnan(matched(NO_MASKS, NO_MASKS))


def proposals(*candidates: tuple[torch.Tensor, float, float]) -> Proposals:
    found, iou, stability = zip(*candidates, strict=True)
    return Proposals(torch.stack(found)[:, None], torch.tensor(iou)[:, None], torch.tensor(stability)[:, None])


def test_regions_are_sure_stable_large_and_distinct():
    kept = automatic(
        [
            proposals((square(9, 8, 32), 0.90, 1.0), (A, 0.95, 1.0)),
            proposals((B, 0.87, 1.0), (square(60, 60, 20), 0.99, 0.94), (square(100, 9, 9), 0.89, 0.96)),
            proposals((square(110, 110, 2), 0.99, 1.0), (NOTHING, 0.99, 1.0)),
        ],
        min_area=0.001,
    )
    assert torch.equal(kept, masks(A, square(100, 9, 9)))  # the surest first


def test_repetition_is_told_by_the_box():
    ring = A & ~square(10, 10, 28)
    kept = automatic([proposals((A, 0.95, 1.0), (ring, 0.9, 1.0))], min_area=0.0)
    assert torch.equal(kept, masks(A))


def test_boxes():
    assert boxes(masks(A, B)).tolist() == [[8, 8, 39, 39], [90, 90, 105, 105]]
    assert boxes(NO_MASKS).shape == (0, 4)


def test_whole_path():
    scene, moved, less, blank = (painted(*squares) for squares in ((A, B), (square(16, 8, 32), B), (A,), (NOTHING,)))
    metric = SegConsHungarian(PromptedRegions(ColourSegmenter(), side=8, min_area=0.001))
    current = batch([scene] * 4 + [blank], [scene, moved, less, blank, blank])
    scores = metric.score(current)["seg_cons_hungarian"].tolist()
    assert scores[:4] == pytest.approx([100, 68, 80, 0]) and np.isnan(scores[4])
