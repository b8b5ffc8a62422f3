"""PSNR and SSIM: how near the pixels themselves are.

Papers: SSIM is Wang et al., IEEE TIP 13(4), 2004; PSNR has none. Weights: none. Range: PSNR 0 dB and up, an image with
itself has no finite value; SSIM -1 to 1, an image with itself has 1; higher is better for both. Published tables
of this benchmark do not have them. A method that moves the person by a few pixels is judged harshly: read them
beside LPIPS, not instead.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from spf_bench.files.store import code_sha256
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.features import Encoder, Image, Outputs

BORDER, SIGMA = 5, 1.5  # a window of 11 px
K1, K2 = 0.01, 0.03


class PixelEncoder:
    """The images themselves, on the device where others compute."""

    name, compact = "pixels", False

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.digest = torch.device(device), code_sha256("spf_bench.metrics.pixel")

    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``rgb`` [B, 3, H, W] uint8."""
        return {"rgb": torch.tensor(images, device=self.device).permute(0, 3, 1, 2)}


class PSNR(Metric):
    """Peak signal-to-noise ratio in dB over all pixels and channels, for pixels in [0, 1]."""

    key, title, group = "psnr", "PSNR", Group.preservation
    higher_is_better, bounds, decimals = True, (0.0, None), 2
    source = "none"
    licence = "none"
    comparable = "no: not in the published table"
    secondary: ClassVar[Mapping[str, str]] = {"mse": "mean squared error of pixels in [0, 1]"}
    nan_means: ClassVar[Mapping[str, str]] = {"psnr": "the two images are the same: no finite ratio"}

    def __init__(self, encoder: Encoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the ratios [B], NaN for equal images, and the errors behind them."""
        original, custom = _sides(batch, self.encoders[0])
        error = (original - custom).double().square().mean(dim=(1, 2, 3))
        return {self.key: torch.where(error > 0, -10 * error.log10(), torch.nan), "mse": error}


class SSIM(Metric):
    """Structural similarity under a Gaussian window of 11 px, sigma 1.5, for pixels in [0, 1] (Eq. 13 of the paper).

    Borders are mirrored and count, as in torchmetrics; code that drops them gives slightly other values.
    """

    key, title, group = "ssim", "SSIM", Group.preservation
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 3
    source = "doi:10.1109/TIP.2003.819861"
    licence = "none"
    comparable = "no: not in the published table"
    nan_means: ClassVar[Mapping[str, str]] = {"ssim": f"a side is not longer than {BORDER} px"}

    def __init__(self, encoder: Encoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the similarities [B]."""
        return {self.key: ssim(*_sides(batch, self.encoders[0]))}


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the similarity [B] of images [B, C, H, W] in [0, 1]; NaN where they are too small to mirror."""
    if min(x.shape[2:]) <= BORDER:
        return x.new_full((len(x),), torch.nan)
    moments = torch.cat([x, y, x * x, y * y, x * y])
    mean_x, mean_y, square_x, square_y, product = _blur(moments).chunk(5)
    var_x, var_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    top = (2 * mean_x * mean_y + K1**2) * (2 * covariance + K2**2)
    bottom = (mean_x**2 + mean_y**2 + K1**2) * (var_x + var_y + K2**2)
    return (top / bottom).mean(dim=(1, 2, 3))


def _blur(images: Tensor) -> Tensor:
    place = torch.arange(-BORDER, BORDER + 1, device=images.device, dtype=images.dtype)
    line = torch.exp(-(place**2) / (2 * SIGMA**2))
    line = line / line.sum()
    planes = F.pad(images, [BORDER] * 4, mode="reflect").flatten(0, 1)[:, None]
    planes = F.conv2d(F.conv2d(planes, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
    return planes[:, 0].unflatten(0, images.shape[:2])


def _sides(batch: Batch, encoder: Encoder) -> tuple[Tensor, Tensor]:
    original, custom = (side.of(encoder)["rgb"].double() / 255 for side in (batch.original, batch.custom))
    return original, custom
