"""FID: distance between two sets of images as Gaussians in feature space.

Papers: Heusel et al., arXiv:1706.08500; clean-FID is Parmar et al., arXiv:2104.11222; FD-DINOv2 is Stein et al.,
arXiv:2306.04675. Weights: the TensorFlow Inception graph of 2015-12-05 (Apache-2.0), and DINOv2 ViT-L/14
(Apache-2.0) for FD-DINOv2, in the paper suite; the attribute judge's pooled features in the world. Range: 0 and up,
lower is better. In this benchmark the two sets are the originals and the customised images of the same test cases,
so sharing noise lowers the floor far below that of independent sets: no FID against photographs, and none with
other features or another resize, may be set beside it.
"""

import warnings

import torch
from torch import Tensor

from spf_bench.metrics.base import Group, SetMetric, SetScore, unmeasured
from spf_bench.metrics.features import Encoder, Features


class RankDeficientWarning(UserWarning):
    """There are too few images for the covariance of their features."""


class FID(SetMetric):
    """Fréchet distance of originals and customised images in feature space (Eq. 6 of arXiv:1706.08500).

    Args:
        encoder: The network.
        output: Which of its outputs, [B, D].
    """

    key, title, group = "fid", "FID", Group.preservation
    higher_is_better, bounds, decimals = False, (0.0, None), 2
    source = "arXiv:1706.08500"
    licence = "Apache-2.0"
    comparable = "only at equal n and features, between paired sets; never with FID against photographs"

    def __init__(self, encoder: Encoder, output: str = "pooled") -> None:
        self.encoders, self.output = (encoder,), output

    def features(self, images: Features) -> Tensor:
        """Return the features [B, D] of a batch."""
        return images.of(self.encoders[0])[self.output]

    def compare(self, original: Tensor, custom: Tensor) -> SetScore:
        """Return the distance of two sets [N, D], noted where N does not exceed D; NaN where one is not finite."""
        if len(original) < 2:
            return SetScore(float("nan"), f"a covariance needs 2 images, there are {len(original)}")
        if nothing := unmeasured(original, custom):
            return nothing
        if len(original) > original.shape[1]:
            return SetScore(frechet_distance(original, custom))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficientWarning)  # said in the note instead
            value = frechet_distance(original, custom)
        return SetScore(value, f"{len(original)} images for {original.shape[1]} features: biased upwards")


class CleanFID(FID):
    """FID of images resized with antialiasing, as clean-fid does."""

    key, title = "fid_clean", "clean-FID"
    source = "arXiv:2104.11222"
    comparable = "no: the published table has FID with the first resize"


class FDDinoV2(FID):
    """Fréchet distance of DINOv2's class tokens; of all such distances the nearest to people's judgement."""

    key, title = "fd_dinov2", "FD-DINOv2"
    source = "arXiv:2306.04675"
    comparable = "no: not in the published table"


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return the Fréchet distance of two samples [N, D] and [M, D], N and M at least 2, in float64.

    Covariances have N - 1 in the divisor. Warns RankDeficientWarning where N or M does not exceed D: the
    value is then finite but biased upwards.
    """
    few = min(len(x), len(y))
    if few <= x.shape[1]:
        warnings.warn(
            f"{few} images for {x.shape[1]} features: the distance is biased upwards",
            RankDeficientWarning,
            stacklevel=2,
        )
    (mean_x, half_x), (mean_y, half_y) = (_half(sample.double()) for sample in (x, y))
    traces = half_x.square().sum() + half_y.square().sum()
    overlap = torch.linalg.svdvals(half_x @ half_y.T).sum()
    return _distance(mean_x - mean_y, traces, overlap)


def frechet_gaussian(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """Return |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) of two Gaussians, means [D] and covariances [D, D].

    tr (C1 C2)^½ is the sum of the singular values of C1^½ C2^½, which are real and non-negative however the
    product's eigenvalues are perturbed. A distance below the rounding of float64 is 0.
    """
    traces = cov1.trace() + cov2.trace()
    overlap = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    return _distance(mean1 - mean2, traces, overlap)


def covariance(x: Tensor) -> Tensor:
    """Return the covariance [D, D] of rows x [N, D] with N - 1 in the divisor."""
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


def root(cov: Tensor) -> Tensor:
    """Return the symmetric square root of a covariance [D, D]; eigenvalues rounded below 0 count as 0."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _half(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean [D] of rows x [N, D] and the smallest H with HᵀH their covariance.

    The singular values of H1 H2ᵀ are those of C1^½ C2^½, for H is C^½ turned: no covariance need be formed, whose
    rounding a root would magnify, and few images make small matrices.
    """
    mean = x.mean(0)
    centred = (x - mean) / (len(x) - 1) ** 0.5
    return mean, centred if len(x) <= x.shape[1] else torch.linalg.qr(centred, mode="r").R


def _distance(shift: Tensor, traces: Tensor, overlap: Tensor) -> float:
    distance = float(shift.square().sum() + traces - 2 * overlap)
    return 0.0 if distance < 1e-12 * max(float(traces), 1.0) else distance
