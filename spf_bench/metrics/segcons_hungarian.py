"""Seg-Cons over everything a segmenter finds, matched one to one: the panoptic reading of the name.

Paper: as ``spf_bench.metrics.segcons``; matching after Kuhn, 1955. Weights: SAM ViT-H (Apache-2.0) in the paper suite,
the attribute judge's part map in the world. Range: 0 to 100, higher is better; an image with itself has 100. Not
comparable with any published table, nor with `segcons_v1`: a region found in one image alone counts as lost, so
it falls with the segmenter's taste as well as with the method. With SAM it takes 16 times as many prompts.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Protocol

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.features import Encoder, Outputs
from spf_bench.metrics.segcons import MAX_OVERLAP, MIN_IOU, MIN_STABILITY, Proposals, Segmenter, grid, mask_iou

GRID = 32  # points per side, the default of SAM's automatic mask generator
MIN_AREA = 100  # pixels of an image of 512 px


class Regions(Protocol):
    """Something that finds all regions of an image."""

    @property
    def encoder(self) -> Encoder:
        """The network that looks at the image."""

    def find(self, seen: Outputs) -> Tensor:
        """Return the masks [R, H, W] of one image, given what the encoder saw of it."""


class PromptedRegions:
    """All regions that a segmenter answers to a fine grid of points with.

    Args:
        segmenter: Asked point by point.
        side: Points per side of the grid.
        min_area: Smallest region, as a share of the image.
    """

    def __init__(self, segmenter: Segmenter, side: int = GRID, min_area: float = MIN_AREA / 512**2) -> None:
        self.segmenter, self.encoder, self.min_area = segmenter, segmenter.encoder, min_area
        self.points = grid(side)

    def find(self, seen: Outputs) -> Tensor:
        """Return the masks [R, H, W] that are sure, stable, large enough and no repetition."""
        return automatic([self.segmenter.propose(seen, self.points)], self.min_area)


class SegConsHungarian(Metric):
    """Share, in percent, of the area of all regions that lies in both images' regions after the best matching."""

    key, title, group = "seg_cons_hungarian", "Seg-Cons (Hungarian)", Group.preservation
    higher_is_better, bounds, decimals = True, (0.0, 100.0), 1
    source = "spf-bench's variant over arXiv:2304.02643"
    licence = "Apache-2.0"
    comparable = "no: the published formula is unknown"
    anchored = True
    nan_means: ClassVar[Mapping[str, str]] = {"seg_cons_hungarian": "no sure region in either image"}

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self.encoders = (regions.encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the scores [B]."""
        original, custom = (side.of(self.regions.encoder) for side in (batch.original, batch.custom))
        rows = [self._pair(original, custom, i) for i in range(len(batch.triples))]
        return {self.key: 100 * torch.tensor(rows, dtype=torch.float64)}

    def _pair(self, original: Outputs, custom: Outputs, i: int) -> float:
        a, b = (self.regions.find({key: value[i] for key, value in side.items()}) for side in (original, custom))
        return matched(a, b)


def matched(a: Tensor, b: Tensor) -> float:
    """Return the share of area that two sets of masks [K, H, W] and [L, H, W] have in common, matched one to one.

    A matched pair weighs its mean area and counts its IoU; an unmatched mask weighs its own and counts 0. NaN
    where both sets are empty.
    """
    area_a, area_b = (masks.sum((1, 2)).double().cpu() for masks in (a, b))
    overlap = mask_iou(a, b).double().cpu()
    rows, columns = (torch.from_numpy(index) for index in linear_sum_assignment(-overlap.numpy()))
    weight = (area_a[rows] + area_b[columns]) / 2
    lone = area_a.sum() - area_a[rows].sum() + area_b.sum() - area_b[columns].sum()
    return float((overlap[rows, columns] * weight).sum() / (weight.sum() + lone))


def automatic(parts: Iterable[Proposals], min_area: float) -> Tensor:
    """Return all masks [R, H, W] among proposals that are worth keeping, the surest first.

    Sure and stable as in `segcons_v1`, at least ``min_area`` of the image, and of masks whose boxes overlap by more
    than seven tenths the surest: SAM's automatic mask generator with its own settings.
    """
    masks, quality = zip(*(_worthy(part, min_area) for part in parts), strict=True)
    order = torch.cat(quality).argsort(descending=True, stable=True)
    return _unrepeated(torch.cat(masks)[order])


def boxes(masks: Tensor) -> Tensor:
    """Return the boxes [K, 4] of non-empty masks [K, H, W]: left, top, right and bottom pixel."""
    sides = []
    for axis in (1, 2):  # rows collapsed give columns, and the reverse
        line = masks.any(axis).byte()
        sides.append((line.argmax(1), line.shape[1] - 1 - line.flip(1).argmax(1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float()


def _worthy(part: Proposals, min_area: float) -> tuple[Tensor, Tensor]:
    masks, quality = part.masks.flatten(0, 1), part.iou.flatten()
    large = masks.sum((1, 2)) >= max(min_area * masks[0].numel(), 1)
    keep = (quality > MIN_IOU) & (part.stability.flatten() >= MIN_STABILITY) & large
    return masks[keep], quality[keep]


def _unrepeated(masks: Tensor) -> Tensor:
    corners = boxes(masks).cpu()
    size = (corners[:, 2:] - corners[:, :2]).prod(1)
    kept: list[int] = []
    for i, box in enumerate(corners):
        others = corners[kept]
        same = (torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])).clamp(min=0).prod(1)
        if not (same / (size[i] + size[kept] - same) > MAX_OVERLAP).any():
            kept.append(i)
    return masks[kept]
