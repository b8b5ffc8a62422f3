"""CLIP-T: does the customised image show the target?

Paper: Radford et al., arXiv:2103.00020. Weights: openai ViT-L/14 (MIT) in the paper suite; in the world a
CLIP nothing trains against. Range: -1 to 1, higher is better. The raw cosine with the target text alone, no
prompt template; the dialects 100·cos and CLIPScore (2.5·max(cos, 0)) are other numbers, and the published
table names neither CLIP nor text.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import TextImageEncoder


class ClipT(Metric):
    """Cosine of the customised image and the target text in CLIP's space.

    The directional column compares the change of the image with the change of the text (arXiv:2108.00946).
    """

    key, title, group = "clip_t", "CLIP-T", Group.responsiveness
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 3
    source = "arXiv:2103.00020"
    licence = "MIT"
    comparable = "only with the same CLIP and text; the published ones are unnamed"
    of_target = True
    secondary: ClassVar[Mapping[str, str]] = {
        "clip_t_full": "CLIP-T with the complete text",
        "clip_d": "cosine of the image's change from the original with the text's from base to complete",
    }
    nan_means: ClassVar[Mapping[str, str]] = {"clip_d": "the image did not change: no direction"}

    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder = encoder
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B] with target and complete text, and of the directions."""
        original, custom = (side.of(self.encoder)["image"] for side in (batch.original, batch.custom))
        target, full, base = (self.encoder.texts(t) for t in (batch.targets, batch.prompts, batch.bases))
        return {
            self.key: (custom * target).sum(-1),
            "clip_t_full": (custom * full).sum(-1),
            "clip_d": direction(custom - original, full - base),
        }


def direction(image: Tensor, text: Tensor) -> Tensor:
    """Return the cosines [B] of two changes [B, D]; NaN where either is none."""
    cosine = (normalize(image, dim=-1) * normalize(text, dim=-1)).sum(-1)
    moved = image.any(-1) & text.any(-1)
    return torch.where(moved, cosine, torch.nan)
