"""ID: is it still the same person?

Paper: Deng et al., "ArcFace", arXiv:1801.07698. Weights: InsightFace buffalo_l (non-commercial research
only) in the paper suite; the attribute judge's identity head in the world. Range: -1 to 1, higher is
better; an image with itself has 1. Published tables do not say which pack, detector size or treatment of
undetected faces they use: not comparable.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.features import Encoder, Outputs


class Identity(Metric):
    """Cosine of the identity embeddings of original and customised face.

    A face missing from the customised image alone counts 0, so that a style cannot gain by hiding the face;
    a face missing from the original is no fault of the method and leaves the pair out.

    Args:
        encoder: A network whose output ``identity`` is [B, D]: unit vectors, NaN where it finds no face.
    """

    key, title, group = "id", "ID", Group.preservation
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 3
    source = "arXiv:1801.07698"
    licence = "non-commercial research only"
    comparable = "no: pack, detector and the treatment of missing faces are unpublished"
    secondary: ClassVar[Mapping[str, str]] = {
        "id_detected": "ID over pairs with a face in both images",
        "id_found": "share of customised images with a face",
    }
    nan_means: ClassVar[Mapping[str, str]] = {
        "id": "no face in the original",
        "id_detected": "no face in one of the two images",
    }

    def __init__(self, encoder: Encoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B], with missing customised faces at 0 and left out, and which were found."""
        sides = (side.of(self.encoders[0]) for side in (batch.original, batch.custom))
        original, custom = self.faces(*sides)
        cosine = (original * custom).sum(-1)
        found = ~custom.isnan().any(-1)
        lost = ~found & ~original.isnan().any(-1)
        return {self.key: torch.where(lost, 0.0, cosine), "id_detected": cosine, "id_found": found.float()}

    def faces(self, original: Outputs, custom: Outputs) -> tuple[Tensor, Tensor]:
        """Return the embeddings [B, D] that are compared."""
        return original["identity"], custom["identity"]


class FaceIdentity(Identity):
    """ID where an image may show several faces: the original's largest, and the customised one that lies on it.

    Args:
        encoder: As ``spf_bench.metrics.insight.FaceEncoder``, whose outputs hold several faces per image.
    """

    secondary: ClassVar[Mapping[str, str]] = {
        **Identity.secondary,
        "id_faces": "faces in the customised image",
        "id_retry": "share of customised faces found only at another detector size or with a border",
    }
    nan_means: ClassVar[Mapping[str, str]] = {**Identity.nan_means, "id_retry": "no face in the customised image"}

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return what ID returns, the number of faces and which were hard to find."""
        custom = batch.custom.of(self.encoders[0])
        retry = (custom["attempt"] > 0).float().where(custom["attempt"] >= 0, torch.nan)
        return super().score(batch) | {"id_faces": custom["faces"], "id_retry": retry}

    def faces(self, original: Outputs, custom: Outputs) -> tuple[Tensor, Tensor]:
        """Return the original's largest face, and of the customised ones that with the greatest overlap."""
        overlap = box_iou(original["boxes"][:, :1], custom["boxes"]).nan_to_num(0.0)
        best = overlap.argmax(dim=1)  # the first, which is the largest, where none overlaps
        rows = torch.arange(len(best), device=best.device)
        return original["identity"][:, 0], custom["identity"][rows, best]


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU [..., F] of boxes [..., 1, 4] with boxes [..., F, 4], as left, top, right, bottom."""
    top_left, bottom_right = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    same = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b))
    return same / (area_a + area_b - same)
