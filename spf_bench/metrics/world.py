"""The world's judge as the metrics use it: an encoder of images and a segmenter over its part map."""

import math
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from spf_bench.files.store import folder_sha256
from spf_bench.metrics.attributes import PREFIX
from spf_bench.metrics.compute import precision
from spf_bench.metrics.features import Encoder, Image, Outputs
from spf_bench.metrics.segcons import Proposals
from spf_bench.world.judge import Judge
from spf_bench.world.portrait import PART_GROUPS, PARTS

COARSER = 0.02
STRICT = 1 / (1 + math.exp(-1))  # the probability at logit +1; 1 - STRICT is that at -1
SAM_RASTER = 256


class JudgeEncoder:
    """Everything the judge sees in an image, in one pass.

    Args:
        model: Takes images [B, 3, H, W] in [-1, 1].
        digest: SHA-256 of the weights.
        dtype: What the network computes in; its outputs are float32.
    """

    name = "judge"
    compact = False  # its maps are larger on disk than they are slow to compute

    def __init__(self, model: Judge, digest: str = "", dtype: torch.dtype = torch.float32) -> None:
        self.model, self.digest, self.dtype = model.eval(), digest, dtype
        self.device = next(model.parameters()).device

    @classmethod
    def from_pretrained(
        cls, folder: Path, device: str, digest: str | None = None, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load the judge's folder."""
        return cls(Judge.from_pretrained(folder).to(device), digest or folder_sha256(folder), dtype)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> pooled, identity, parts, stage<i> and attribute.<field>."""
        pixels = torch.tensor(images, device=self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with precision(self.device, self.dtype):
            seen = self.model(pixels)
        outputs = {
            "pooled": seen.pooled,
            "identity": seen.identity,
            "parts": seen.parts,
            **{f"stage{i}": stage for i, stage in enumerate(seen.stages)},
            **{PREFIX + field: logits for field, logits in seen.attributes.items()},
        }
        return {name: value.float() for name, value in outputs.items()}


class PartSegmenter:
    """Masks from the judge's part logits: of each point its part, group of parts, and person or background.

    A mask holds the pixels where its parts together are likelier than not. Its quality is the mean, over
    its pixels, of the likeliest part's probability: how certain the judge is there. A coarser mask pays
    `COARSER` per step, for a point asks for the smallest thing that is clear. Its stability is SAM's, the
    share of the pixels left when it is drawn at logit +1 instead of -1, told for SAM's raster of 256
    pixels: an edge one pixel wide costs a region four times as much of its area at 64.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._sets = part_sets()

    def propose(self, seen: Outputs, points: Tensor) -> Proposals:
        """Answer points [K, 2], fractions of the image, in ``parts`` [P, H, W]."""
        probability = seen["parts"].softmax(0)
        certainty, label = probability.max(0)
        soft = torch.einsum("gpq,qhw->pghw", self._sets.to(probability), probability)
        masks = soft > 0.5
        quality = (certainty * masks).sum((2, 3)) / masks.sum((2, 3)).clamp(min=1)
        quality = (quality - COARSER * torch.arange(3, device=quality.device)).clamp(min=0)
        height, width = label.shape
        strict, loose = ((soft > level).sum((2, 3)) for level in (STRICT, 1 - STRICT))
        stability = 1 - width / SAM_RASTER * (1 - strict / loose.clamp(min=1))
        x, y = (points * torch.tensor([width, height])).long().to(label.device).unbind(-1)
        part = label[y, x]
        return Proposals(masks[part], quality[part], stability[part])


def part_sets() -> Tensor:
    """Return which parts make up the mask of a point on each part, [3, P, P] by granularity."""
    group = {part: name for name, parts in PART_GROUPS.items() for part in parts}
    same = (
        lambda a, b: a == b,
        lambda a, b: group[a] == group[b],
        lambda a, b: (a == "background") == (b == "background"),
    )
    return torch.tensor([[[float(rule(a, b)) for b in PARTS] for a in PARTS] for rule in same])
