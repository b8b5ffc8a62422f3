"""LPIPS: distance between two images in the feature maps of a network.

Paper: Zhang et al., arXiv:1801.03924. Weights: AlexNet, or VGG-16 on request, with the authors' linear heads
v0.1 (BSD) in the paper suite (``spf_bench.metrics.lpips_trunk``); the attribute judge's stages with uniform heads
in the world. Range: 0 to about 1, lower is better; an image with itself has 0. Values depend on network, heads and
image size: only those of AlexNet with v0.1 heads at 512 px may be set beside a published table.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.features import Encoder

EPSILON = 1e-10  # of the authors' code: keeps a silent position at 0


class LPIPS(Metric):
    """Perceptual distance between original and customised image (Eq. 1 of arXiv:1801.03924).

    Args:
        encoder: A network whose outputs named ``stage...``, in order of name, are feature maps [B, C, h, w].
        heads: Non-negative channel weights [C] per stage; None weighs all channels and stages alike.
    """

    key, title, group = "lpips", "LPIPS", Group.preservation
    higher_is_better, bounds, decimals = False, (0.0, None), 3
    source = "arXiv:1801.03924"
    licence = "BSD-2-Clause"
    comparable = "only with the same network, heads and image size"

    def __init__(self, encoder: Encoder, heads: Sequence[Tensor] | None = None) -> None:
        self.encoders, self.heads = (encoder,), heads

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the distances [B]."""
        sides = [side.of(self.encoders[0]) for side in (batch.original, batch.custom)]
        names = sorted(name for name in sides[0] if name.startswith("stage"))
        original, custom = ([side[name] for name in names] for side in sides)
        return {self.key: distance(original, custom, self.heads)}


class LPIPSVGG(LPIPS):
    """LPIPS over VGG-16, as papers that optimise it report it."""

    key, title = "lpips_vgg", "LPIPS (VGG)"


def distance(a: Sequence[Tensor], b: Sequence[Tensor], heads: Sequence[Tensor] | None = None) -> Tensor:
    """Return LPIPS [B] from two lists of feature maps [B, C, h, w].

    Maps are scaled to unit length over channels; squared differences are weighed by the heads, averaged
    over positions and summed over stages. Without heads every channel weighs 1/(2 * stages), which makes
    the distance the mean of 1 - cosine over positions and stages: 0 to 1 for features that are not
    negative.
    """
    heads = uniform_heads(a) if heads is None else heads
    stages = zip(a, b, heads, strict=True)
    return torch.stack([_stage(x, y, head) for x, y, head in stages]).sum(0)


def uniform_heads(maps: Sequence[Tensor]) -> list[Tensor]:
    """Return equal weights [C] for each stage."""
    return [torch.full((x.shape[1],), 0.5 / len(maps), device=x.device) for x in maps]


def _stage(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    x, y = (f / (f.norm(dim=1, keepdim=True) + EPSILON) for f in (x, y))
    return torch.einsum("bchw,c->bhw", (x - y).square(), head.to(x)).mean(dim=(1, 2))
