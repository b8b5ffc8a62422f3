"""Seg-Cons: do the regions of the original portrait survive?

Paper: named without a formula in arXiv:2504.00396, which cites Segment Anything (Kirillov et al.,
arXiv:2304.02643); this is spf-bench's reading, `segcons_v1`. Weights: SAM ViT-H (Apache-2.0) in the paper
suite, the attribute judge's part map in the world. Range: 0 to 100, higher is better; an image with itself
has 100. Not comparable with any published table: the formula behind those numbers is unknown. Read it between two
anchors (``spf_bench.metrics.segcons_anchors``): another seed of the same text, and the original after JPEG.

A fixed grid of points prompts both images. In the original each point gives its best mask, kept where the
segmenter is sure of it and it repeats no better one. The same point in the customised image gives masks of
several sizes; the one that overlaps most counts, so that a segmenter's taste for another granularity is not
taken for a change. The score is the weighted mean overlap, averaged over both directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.features import Encoder, Outputs

GRID = 8
MIN_IOU, MIN_STABILITY, MAX_OVERLAP = 0.88, 0.95, 0.7  # the defaults of SAM's automatic mask generator
POWERS = {"seg_cons": 0.5, "seg_cons_uniform": 0.0, "seg_cons_area": 1.0}


@dataclass(frozen=True)
class Proposals:
    """A segmenter's answers to K points, at G granularities each."""

    masks: Tensor
    """[K, G, H, W] bool."""
    iou: Tensor
    """Its own estimate of each mask's quality [K, G], 0 to 1."""
    stability: Tensor
    """Overlap of each mask drawn strictly and loosely [K, G], 0 to 1."""


class Segmenter(Protocol):
    """Something that answers points with masks."""

    @property
    def encoder(self) -> Encoder:
        """The network that looks at an image before it is prompted."""

    def propose(self, seen: Outputs, points: Tensor) -> Proposals:
        """Answer points [K, 2], x and y as fractions of the image, in what the encoder saw of one image."""


class SegCons(Metric):
    """Weighted mean overlap, in percent, of the original's regions with the customised image's, both ways.

    Regions weigh the square root of their area. A customised image without any sure region scores 0 in its
    own direction; an original without any leaves the pair out.
    """

    key, title, group = "seg_cons", "Seg-Cons", Group.preservation
    higher_is_better, bounds, decimals = True, (0.0, 100.0), 1
    source = "spf-bench's segcons_v1 over arXiv:2304.02643"
    licence = "Apache-2.0"
    comparable = "no: the published formula is unknown"
    anchored = True
    secondary: ClassVar[Mapping[str, str]] = {
        "seg_cons_uniform": "Seg-Cons with all regions weighing alike",
        "seg_cons_area": "Seg-Cons with regions weighing their area",
    }
    nan_means: ClassVar[Mapping[str, str]] = dict.fromkeys(POWERS, "no sure region in the original")

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self.encoders = (segmenter.encoder,)
        self.points = grid(GRID)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the scores [B] for each weighting."""
        original, custom = (side.of(self.segmenter.encoder) for side in (batch.original, batch.custom))
        rows = [self._pair(_row(original, i), _row(custom, i)) for i in range(len(batch.triples))]
        return {key: torch.tensor([row[key] for row in rows], dtype=torch.float64) for key in POWERS}

    def _pair(self, original: Outputs, custom: Outputs) -> dict[str, float]:
        a, b = (self.segmenter.propose(seen, self.points) for seen in (original, custom))
        there, back = directed(a, b), directed(b, a)
        if there is None:
            return dict.fromkeys(POWERS, float("nan"))
        return {key: 50 * (there[key] + (back[key] if back else 0.0)) for key in POWERS}


def directed(a: Proposals, b: Proposals) -> Mapping[str, float] | None:
    """Return how well regions of ``a`` are found in ``b``, 0 to 1 by weighting; None where ``a`` has none."""
    kept, masks = references(a)
    if not len(kept):
        return None
    overlap = found_again(masks, b.masks[kept])
    area = masks.sum(dim=(1, 2)).double()
    return {key: float(weighted_mean(overlap, area**power)) for key, power in POWERS.items()}


def references(proposals: Proposals) -> tuple[Tensor, Tensor]:
    """Choose the regions of an image: indices [R] of the points kept, and their masks [R, H, W].

    Of each point the mask of highest estimated quality, if sure and stable; of masks that overlap, the
    better one.
    """
    best = proposals.iou.argmax(dim=1)
    rows = torch.arange(len(best), device=best.device)
    masks, iou = proposals.masks[rows, best], proposals.iou[rows, best]
    sure = (iou >= MIN_IOU) & (proposals.stability[rows, best] >= MIN_STABILITY)
    candidates = sure.nonzero().squeeze(1)
    order = candidates[iou[candidates].argsort(descending=True, stable=True)]
    index = order[distinct(mask_iou(masks[order], masks[order]))]
    return index, masks[index]


def distinct(overlap: Tensor) -> Tensor:
    """Return the indices [R] of masks, given best first with their overlaps [K, K], that repeat none kept before."""
    repeats = (overlap > MAX_OVERLAP).cpu()
    kept: list[int] = []
    for i, row in enumerate(repeats):
        if not row[kept].any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long, device=overlap.device)


def found_again(masks: Tensor, candidates: Tensor) -> Tensor:
    """Return for each mask [R, H, W] its best overlap [R] with its own candidates [R, G, H, W], as IoU."""
    same = (masks[:, None] & candidates).sum(dim=(2, 3)).double()
    either = (masks[:, None] | candidates).sum(dim=(2, 3)).double()
    return (same / either.clamp(min=1)).amax(dim=1)


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU [K, L] of masks [K, H, W] with masks [L, H, W]; 0 where both are empty."""
    a, b = a.flatten(1).float(), b.flatten(1).float()
    same = a @ b.T
    return same / (a.sum(1)[:, None] + b.sum(1) - same).clamp(min=1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of values [R] under non-negative weights [R]."""
    return (values * weights).sum() / weights.sum()


def grid(side: int) -> Tensor:
    """Return side² points [side², 2] at the centres of a square grid, x and y as fractions of the image."""
    centres = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=-1)


def _row(outputs: Outputs, i: int) -> Outputs:
    return {key: value[i] for key, value in outputs.items()}
