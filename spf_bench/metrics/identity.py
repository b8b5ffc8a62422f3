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
from spf_bench.metrics.features import Encoder


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
    secondary: ClassVar[Mapping[str, str]] = {"id_detected": "ID over pairs with a face in both images"}
    nan_means: ClassVar[Mapping[str, str]] = {
        "id": "no face in the original",
        "id_detected": "no face in one of the two images",
    }

    def __init__(self, encoder: Encoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B], with missing customised faces at 0 and left out."""
        original, custom = (side.of(self.encoders[0])["identity"] for side in (batch.original, batch.custom))
        cosine = (original * custom).sum(-1)
        lost = custom.isnan().any(-1) & ~original.isnan().any(-1)
        return {self.key: torch.where(lost, 0.0, cosine), "id_detected": cosine}
