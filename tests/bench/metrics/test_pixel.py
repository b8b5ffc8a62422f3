"""PSNR and SSIM against closed forms and torchmetrics."""

import numpy as np
import pytest
import torch

from spf_bench.metrics.pixel import PSNR, SSIM, PixelEncoder, ssim
from tests.bench.metrics.photograph import photograph
from tests.bench.metrics.stand_ins import batch, noise_pictures

PIXELS = PixelEncoder()


def flat(level: float, size: int = 32) -> torch.Tensor:
    return torch.full((1, 3, size, size), level, dtype=torch.float64)


def test_closed_forms():
    grey = [np.full((16, 16, 3), level, np.uint8) for level in (51, 102)]  # .2 and .4
    scores = PSNR(PIXELS).score(batch(grey, grey[::-1]))
    assert scores["psnr"].tolist() == pytest.approx([-20 * np.log10(0.2)] * 2)
    assert scores["mse"].tolist() == pytest.approx([0.04] * 2)
    assert ssim(flat(0.5), flat(0.6)).item() == pytest.approx(0.98360924, abs=1e-8)


def test_twenty_decibels():
    a, b = (np.full((16, 16, 3), level, np.uint8) for level in (100, 125))
    value = PSNR(PIXELS).score(batch([a], [b]))["psnr"].item()
    assert value == pytest.approx(20 * np.log10(255 / 25))


def test_an_image_with_itself():
    current = batch(noise_pictures(2), noise_pictures(2))
    assert PSNR(PIXELS).score(current)["psnr"].isnan().all()
    assert PSNR(PIXELS).score(current)["mse"].tolist() == [0, 0]
    assert SSIM(PIXELS).score(current)["ssim"].tolist() == pytest.approx([1, 1], abs=1e-9)


def test_small_images_have_no_ssim():
    assert ssim(flat(0.5, 5), flat(0.6, 5)).isnan().all()
    assert ssim(flat(0.5, 6), flat(0.6, 6)).isfinite().all()


def test_torchmetrics_agrees_image_by_image():
    image = pytest.importorskip("torchmetrics.functional.image")
    originals = [photograph(64), *noise_pictures(2)]
    customs = [np.roll(photograph(64), 2, axis=1), *noise_pictures(2, seed=1)]
    current = batch(originals, customs)
    x, y = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2).double() / 255 for side in (originals, customs))
    similarity = image.structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    ratio = image.peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(SSIM(PIXELS).score(current)["ssim"], similarity, atol=1e-6, rtol=0)
    torch.testing.assert_close(PSNR(PIXELS).score(current)["psnr"], ratio, atol=1e-6, rtol=0)
