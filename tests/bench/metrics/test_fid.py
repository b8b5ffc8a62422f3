"""Fréchet distance against closed forms, other people's code, and its known biases."""

import numpy as np
import pytest
import torch

from spf_bench.metrics.fid import FID, RankDeficientWarning, frechet_distance, frechet_gaussian, root
from tests.bench.metrics.stand_ins import Colours, batch, noise_pictures

EYE = torch.eye(4, dtype=torch.float64)
ZERO = torch.zeros(4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("mean1", "cov1", "mean2", "cov2", "expected"),
    [
        (ZERO, EYE, ZERO, EYE, 0.0),
        (ZERO, EYE, ZERO + 2, EYE, 16.0),
        (ZERO, EYE, ZERO, 4 * EYE, 4.0),
        (
            torch.tensor([1.0, 2.0], dtype=torch.float64),
            torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64)),
            torch.zeros(2, dtype=torch.float64),
            torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)),
            10.0,
        ),
        (
            torch.zeros(2, dtype=torch.float64),
            torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64),
            torch.zeros(2, dtype=torch.float64),
            torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64)),
            0.5166852264521,
        ),
    ],
)
def test_closed_forms(mean1, cov1, mean2, cov2, expected):
    assert frechet_gaussian(mean1, cov1, mean2, cov2) == pytest.approx(expected, abs=1e-10)
    assert frechet_gaussian(mean2, cov2, mean1, cov1) == pytest.approx(expected, abs=1e-10)


def test_rotation_changes_nothing_and_scale_goes_squared():
    rng = np.random.default_rng(1)
    x, y = (torch.from_numpy(rng.normal(size=(200, 5)) * s + m) for s, m in ((1.0, 0.0), (1.4, 0.3)))
    turn = torch.linalg.qr(torch.from_numpy(rng.normal(size=(5, 5)))).Q
    plain = frechet_distance(x, y)
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(plain, rel=1e-9)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * plain, rel=1e-9)


def test_covariance_divides_by_n_minus_one():
    square = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    assert frechet_distance(square, square + torch.tensor([1.0, 0.0])) == pytest.approx(1.0, abs=1e-12)
    # Against a Gaussian of covariance 1 the N - 1 divisor shows: 2 (sqrt(4/3) - 1)^2.
    cov = (square - 1).double().T @ (square - 1).double() / 3
    eye, mean = torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    assert frechet_gaussian(mean, cov, mean, eye) == pytest.approx(2 * ((4 / 3) ** 0.5 - 1) ** 2)


def test_value_of_torch_fidelity():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(500, 16)).astype(np.float32))
    y = torch.from_numpy((1.3 * rng.normal(size=(400, 16)) + 0.2).astype(np.float32))
    assert frechet_distance(x, y) == pytest.approx(2.59313511, abs=1e-4)


def test_value_of_torchmetrics_with_a_network_of_means():
    generator = torch.Generator().manual_seed(0)
    sets = [torch.randint(0, high, (64, 3, 32, 32), dtype=torch.uint8, generator=generator) for high in (256, 200)]
    x, y = (torch.nn.functional.adaptive_avg_pool2d(s / 255, (2, 2)).flatten(1) for s in sets)
    assert frechet_distance(x, y) == pytest.approx(0.1484776, abs=1e-5)


def test_bias_of_small_sets_falls_with_n():
    for n, expected in {100: 21.4, 200: 10.6, 500: 4.47, 1000: 2.24, 5000: 0.43}.items():
        rng = np.random.default_rng(n)
        sides = (torch.from_numpy(rng.normal(size=(n, 64))) for _ in range(2))
        assert frechet_distance(*sides) == pytest.approx(expected, rel=0.1)


def test_too_few_images_warn_and_stay_finite():
    rng = np.random.default_rng(1)
    x, y = (torch.from_numpy(rng.normal(size=(50, 256))) for _ in range(2))
    with pytest.warns(RankDeficientWarning, match="50 images for 256 features"):
        assert frechet_distance(x, y) == pytest.approx(324.12497, abs=1e-4)


def test_paired_sets_lower_the_floor():
    rng = np.random.default_rng(3)
    x, z = (torch.from_numpy(rng.normal(size=(500, 64))) for _ in range(2))
    assert frechet_distance(x, 0.9 * x + (1 - 0.81) ** 0.5 * z) == pytest.approx(0.830, abs=5e-4)


@pytest.mark.parametrize(("n", "d"), [(200, 30), (20, 30)])
@pytest.mark.filterwarnings("ignore::spf_bench.metrics.fid.RankDeficientWarning")
def test_a_set_with_itself_is_exactly_zero(n, d):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(n, d))) * 50
    assert frechet_distance(x, x) == 0.0
    assert frechet_distance(x, x.flip(0)) == 0.0  # the order of a set means nothing


def test_root_of_a_rank_deficient_covariance_is_real():
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    half = root(x.T @ x)
    assert half.isfinite().all()
    torch.testing.assert_close(half @ half, x.T @ x)


def test_metric_notes_what_it_cannot_say_well():
    metric, images = FID(Colours()), noise_pictures(5)
    features = metric.features(batch(images, images).original)
    assert features.shape == (5, 3)
    assert metric.compare(features, features).note is None
    few = metric.compare(features[:3], features[:3])
    assert few.value == 0 and few.note == "3 images for 3 features: biased upwards"
    assert np.isnan(metric.compare(features[:1], features[:1]).value)
