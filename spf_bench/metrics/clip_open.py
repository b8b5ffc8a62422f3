"""CLIP-T and CLIP-I once more, by a CLIP that shares nothing with the one in training.

Paper: Gadre et al., DataComp, arXiv:2304.14108; as a metric see CLIP-T. Weights: OpenCLIP ViT-L/14 trained on
DataComp-XL (MIT), built by `open_clip`; the world needs no such column, its CLIP-T judge is independent already.
Range: -1 to 1, higher is better. Response enhancement trains against OpenAI's CLIP, so OpenAI's CLIP-T alone
could be raised by pleasing that network; a rise in both columns is response. Its values lie on another scale
than OpenAI's: not comparable with any CLIP-T of OpenAI's, nor with the published table.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import TextImageEncoder
from spf_bench.metrics.clip_t import direction


class ClipOpen(Metric):
    """Cosine of the customised image and the target text in the independent CLIP's space."""

    key, title, group = "clip_open", "CLIP-T (DataComp)", Group.responsiveness
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 3
    source = "arXiv:2304.14108"
    licence = "MIT"
    comparable = "no: another CLIP than any published table uses"
    secondary: ClassVar[Mapping[str, str]] = {
        "clip_open_full": "the same with the complete text",
        "clip_open_d": "directional score, as CLIP-D",
        "clip_open_i": "cosine of original and customised image, as CLIP-I",
    }
    nan_means: ClassVar[Mapping[str, str]] = {"clip_open_d": "the image did not change: no direction"}

    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder = encoder
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B] with both texts, of the directions, and of the two images."""
        original, custom = (side.of(self.encoder)["image"] for side in (batch.original, batch.custom))
        target, full, base = (self.encoder.texts(t) for t in (batch.targets, batch.prompts, batch.bases))
        return {
            self.key: (custom * target).sum(-1),
            "clip_open_full": (custom * full).sum(-1),
            "clip_open_d": direction(custom - original, full - base),
            "clip_open_i": (original * custom).sum(-1),
        }
