"""Seg-Cons: geometry by hand, then the whole path with a segmenter that sees two colours."""

import numpy as np
import pytest
import torch

from spf_bench.metrics.segcons import (
    Proposals,
    SegCons,
    directed,
    found_again,
    grid,
    mask_iou,
    references,
    weighted_mean,
)
from spf_bench.metrics.world import PartSegmenter, part_sets
from spf_bench.world.portrait import PARTS
from tests.bench.metrics.stand_ins import ColourSegmenter, batch

SIZE = 128


def square(x: int, y: int, side: int) -> torch.Tensor:
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[y : y + side, x : x + side] = True
    return mask


def proposals(*masks: torch.Tensor) -> Proposals:
    """One sure point per mask; the second and third granularity answer with nothing."""
    empty = torch.zeros_like(masks[0])
    sure = torch.tensor([[1.0, 0.0, 0.0]]).expand(len(masks), 3)
    return Proposals(torch.stack([torch.stack([m, empty, empty]) for m in masks]), sure, sure)


A, B, NOTHING = square(8, 8, 32), square(90, 90, 16), torch.zeros(SIZE, SIZE, dtype=torch.bool)


def test_shifted_square():
    iou = mask_iou(A[None], square(16, 8, 32)[None])
    assert iou.item() == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("custom", "uniform", "area"),
    [
        ((A, B), 1.0, 1.0),
        ((square(16, 8, 32), B), 0.8, 0.68),
        ((A, NOTHING), 0.5, 0.8),
        ((square(80, 8, 32), square(8, 90, 16)), 0.0, 0.0),
    ],
)
def test_weights(custom, uniform, area):
    scores = directed(proposals(A, B), proposals(*custom))
    assert scores["seg_cons_uniform"] == pytest.approx(uniform)
    assert scores["seg_cons_area"] == pytest.approx(area)


def test_headline_weighs_the_root_of_the_area():
    scores = directed(proposals(A, B), proposals(A, NOTHING))
    assert scores["seg_cons"] == pytest.approx(32 / (32 + 16))


def test_monotone_in_shift():
    values = [directed(proposals(A), proposals(square(8 + s, 8, 32)))["seg_cons"] for s in range(0, 40, 4)]
    assert values == sorted(values, reverse=True) and values[0] == 1 and values[-1] == 0


def test_another_granularity_is_no_change():
    bigger = square(4, 4, 48)
    candidates = torch.stack([bigger, A, NOTHING])[None]
    assert found_again(A[None], candidates).item() == 1


def test_references_are_sure_stable_and_distinct():
    masks = torch.stack([A, square(9, 8, 32), B, square(60, 60, 9)])[:, None]
    iou = torch.tensor([[0.90], [0.95], [0.89], [0.87]])
    stability = torch.tensor([[0.96], [0.96], [0.96], [0.99]])
    kept, found = references(Proposals(masks, iou, stability))
    assert kept.tolist() == [1, 2]  # 0 repeats the better 1, 3 is not sure
    assert torch.equal(found, masks[[1, 2], 0])
    unstable = Proposals(masks, iou, torch.full((4, 1), 0.94))
    assert len(references(unstable)[0]) == 0


def test_masks_repeat_each_other_above_an_overlap_of_seven_tenths():
    apart, same = square(16, 8, 32), square(13, 8, 32)  # IoU .6 and .73 with A
    assert len(references(proposals(A, apart))[0]) == 2
    assert len(references(proposals(A, same))[0]) == 1


def test_weighted_mean():
    assert weighted_mean(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 1.0])).item() == 0.75


def test_grid_is_the_centres():
    assert grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def painted(red: torch.Tensor, green: torch.Tensor = NOTHING) -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[..., 0][red.numpy()] = 255
    image[..., 1][green.numpy()] = 255
    return image


def test_whole_path():
    scene, moved, less, blank = (painted(*squares) for squares in ((A, B), (square(16, 8, 32), B), (A,), (NOTHING,)))
    scores = SegCons(ColourSegmenter()).score(batch([scene] * 4 + [blank], [scene, moved, less, blank, scene]))
    uniform = scores["seg_cons_uniform"].tolist()
    assert uniform[:4] == pytest.approx([100, 80, (50 + 100) / 2, 0])  # losing B: half there, all of it back
    assert np.isnan(uniform[4]) and scores["seg_cons"][0] == 100


def test_part_segmenter_answers_part_group_and_person():
    logits = torch.full((len(PARTS), 16, 16), -9.0)
    logits[PARTS.index("background")] = 0
    for part, rows in (("clothes", slice(8, 16)), ("skin", slice(2, 8)), ("mouth", slice(6, 8))):
        logits[:, rows, 4:12] = -9.0
        logits[PARTS.index(part), rows, 4:12] = 9.0
    answer = PartSegmenter(encoder=None).propose({"parts": logits}, torch.tensor([[0.5, 0.45], [0.1, 0.1]]))
    sizes = answer.masks.sum(dim=(2, 3)).tolist()
    assert sizes[0] == [16, 48, 112]  # mouth, face, person
    assert sizes[1] == [144] * 3  # background is its own group
    assert answer.iou[0].tolist() == pytest.approx([1, 0.98, 0.96], abs=2e-3)  # the mouth is clear, so it is meant
    assert (answer.stability == 1).all()


def test_doubtful_masks_are_neither_sure_nor_stable():
    logits = torch.zeros(len(PARTS), 64, 64)
    logits[PARTS.index("skin"), 16:48, 16:48] = 2.2  # likeliest, but hardly more than all others together
    answer = PartSegmenter(encoder=None).propose({"parts": logits}, torch.tensor([[0.5, 0.5]]))
    assert answer.iou[0, 0] < 0.88 and answer.stability[0, 0] < 0.95


def test_stability_is_told_for_a_raster_of_256():
    logits = torch.full((len(PARTS), 64, 64), -99.0)
    logits[PARTS.index("background")] = 0.0
    skin = logits[PARTS.index("skin")]
    skin[16:48, 16:48], skin[15, 16:48], skin[48, 16:48] = 9.0, -0.5, 0.5  # two of 34 rows are in doubt
    answer = PartSegmenter(encoder=None).propose({"parts": logits}, torch.tensor([[0.5, 0.5]]))
    assert answer.stability[0, 0].item() == pytest.approx(1 - 2 / 34 / 4)


def test_every_part_belongs_to_its_own_sets():
    sets = part_sets()
    assert (sets.diagonal(dim1=1, dim2=2) == 1).all()
    assert (sets[0] <= sets[1]).all() and (sets[1] <= sets[2]).all()
