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

from spf_bench.metrics.base import Batch
from spf_bench.metrics.clip_t import ClipT


class ClipOpen(ClipT):
    """Cosine of the customised image and the target text in the independent CLIP's space."""

    key, title = "clip_open", "CLIP-T (DataComp)"
    source = "arXiv:2304.14108"
    comparable = "no: another CLIP than any published table uses"
    secondary: ClassVar[Mapping[str, str]] = {
        "clip_open_full": "the same with the complete text",
        "clip_open_d": "directional score, as CLIP-D",
        "clip_open_i": "cosine of original and customised image, as CLIP-I",
    }
    nan_means: ClassVar[Mapping[str, str]] = {"clip_open_d": "the image did not change: no direction"}

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cosines [B] with both texts, of the directions, and of the two images."""
        target, full, change = super().score(batch).values()
        original, custom = (side.of(self.encoder)["image"] for side in (batch.original, batch.custom))
        return {
            self.key: target,
            "clip_open_full": full,
            "clip_open_d": change,
            "clip_open_i": (original * custom).sum(-1),
        }
