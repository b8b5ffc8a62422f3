"""CLIP-I: do original and customised image mean the same?

Paper: Radford et al., arXiv:2103.00020 (as a metric: Ruiz et al., arXiv:2208.12242). Weights: openai
ViT-L/14 (MIT) in the paper suite; in the world a CLIP nothing trains against. Range: -1 to 1, higher is
better; an image with itself has 1. Comparable with other tables only for the same CLIP; the published table
does not name its own.
"""

from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import TextImageEncoder


class ClipI(Metric):
    """Cosine of the CLIP embeddings of original and customised image."""

    key, title, group = "clip_i", "CLIP-I", Group.preservation
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 3
    source = "arXiv:2103.00020"
    licence = "MIT"
    comparable = "only with the same CLIP; the published one is unnamed"

    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B]."""
        original, custom = (side.of(self.encoders[0])["image"] for side in (batch.original, batch.custom))
        return {self.key: (original * custom).sum(-1)}
