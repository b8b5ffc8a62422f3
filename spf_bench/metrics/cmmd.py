"""CMMD: distance between two sets of images in CLIP's space, without assuming that features are Gaussian.

Paper: Jayasumana et al., arXiv:2401.09603. Weights: OpenAI CLIP ViT-L/14 at 336 px (MIT) in the paper suite.
Range: 0 and up, lower is better; it sees distortions that FID overlooks and needs fewer images. Published tables of
this benchmark do not have it. The estimate keeps the diagonal, as the authors' does, and so has a bias of
about 1/N: .0064 at 3,000 images of one distribution, .096 at 200.
"""

import torch
from torch import Tensor

from spf_bench.metrics.base import Group, SetMetric, SetScore, unmeasured
from spf_bench.metrics.features import Encoder, Features

SIGMA, SCALE = 10.0, 1000.0  # of the authors' code
BLOCK = 2048


class CMMD(SetMetric):
    """Squared maximum mean discrepancy of CLIP embeddings under a Gaussian kernel, times 1000 (arXiv:2401.09603).

    Args:
        encoder: A CLIP whose ``output`` is [B, D], unit vectors.
        output: Its name.
    """

    key, title, group = "cmmd", "CMMD", Group.preservation
    higher_is_better, bounds, decimals = False, (0.0, None), 3
    source = "arXiv:2401.09603"
    licence = "MIT"
    comparable = "no: not in the published table; elsewhere only at equal n"

    def __init__(self, encoder: Encoder, output: str = "image") -> None:
        self.encoders, self.output = (encoder,), output

    def features(self, images: Features) -> Tensor:
        """Return the embeddings [B, D] of a batch."""
        return images.of(self.encoders[0])[self.output]

    def compare(self, original: Tensor, custom: Tensor) -> SetScore:
        """Return the distance of two sets [N, D]; NaN where a feature is not finite."""
        if not len(original) or not len(custom):
            return SetScore(float("nan"), "no images")
        return unmeasured(original, custom) or SetScore(gaussian_distance(original, custom))


def gaussian_distance(x: Tensor, y: Tensor) -> float:
    """Return 1000 times the squared MMD, diagonals included, of samples [N, D] and [M, D], in float64."""
    x, y = x.double(), y.double()
    distance = _mean(x, x) + _mean(y, y) - 2 * _mean(x, y)
    return SCALE * max(distance, 0.0)  # below 0 by rounding alone


def _mean(x: Tensor, y: Tensor) -> float:
    total = sum(float(torch.exp(_squared(part, y) / (-2 * SIGMA**2)).sum()) for part in x.split(BLOCK))
    return total / (len(x) * len(y))


def _squared(x: Tensor, y: Tensor) -> Tensor:
    return x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
