"""KID and CMMD against other people's values, closed forms and their known biases."""

import math

import numpy as np
import pytest
import torch

from spf_bench.metrics import cmmd, kid
from spf_bench.metrics.cmmd import CMMD, gaussian_distance
from spf_bench.metrics.fid import FID, CleanFID
from spf_bench.metrics.kid import KID, kernel_distance
from tests.bench.metrics.stand_ins import Colours, batch, noise_pictures


def reference(n=100):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 16)).astype(np.float32)
    y = (1.3 * rng.normal(size=(400, 16)) + 0.2).astype(np.float32)
    return torch.from_numpy(x[:n]), torch.from_numpy(y[:n])


def by_loops(x, y):
    k = [[(float(a @ b) / x.shape[1] + 1) ** 3 for b in [*x, *y]] for a in [*x, *y]]
    n = len(x)
    within = [[k[i][j] for i in part for j in part if i != j] for part in (range(n), range(n, len(k)))]
    across = [k[i][j] for i in range(n) for j in range(n, len(k))]
    return sum(np.mean(part) for part in within) - 2 * np.mean(across)


def test_kid_of_torch_fidelity():
    assert kernel_distance(*reference()) == pytest.approx(0.41036430, abs=1e-6)


def test_kid_of_torch_fidelitys_own_code():
    module = pytest.importorskip("torch_fidelity.metric_kid", exc_type=Exception)
    x, y = (side.double().numpy() for side in reference())
    theirs = module.kernel_mmd(x, y, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_coef0=1)
    assert kernel_distance(*reference()) == pytest.approx(theirs, abs=1e-9)


def test_kid_by_loops_and_in_blocks(monkeypatch):
    x, y = (side.double() for side in reference(12))
    expected = by_loops(x, y[:9])
    assert kernel_distance(x, y[:9]) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(kid, "BLOCK", 5)
    assert kernel_distance(x, y[:9]) == pytest.approx(expected, rel=1e-12)


def test_kid_of_a_set_with_itself_is_not_above_zero():
    assert kernel_distance(reference()[0], reference()[0]) <= 0


def test_cmmd_of_orthogonal_vectors():
    x, y = torch.eye(2)[:1], torch.eye(2)[1:]
    assert gaussian_distance(x, y) == pytest.approx(1000 * (2 - 2 * np.exp(-2 / 200)), rel=1e-9)
    assert gaussian_distance(x, y) == pytest.approx(19.9003325, abs=1e-6)


@pytest.mark.parametrize(("n", "expected"), [(200, 0.096), (3000, 0.0064)])
def test_cmmd_bias(n, expected):
    rng = np.random.default_rng(n)
    sides = [torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(n, 256))), dim=1) for _ in range(2)]
    assert gaussian_distance(*sides) == pytest.approx(expected, rel=0.15)


def test_cmmd_of_a_set_with_itself_is_zero(monkeypatch):
    x = torch.nn.functional.normalize(reference()[0], dim=1)
    assert gaussian_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-9)
    whole = gaussian_distance(x, x[:7])
    monkeypatch.setattr(cmmd, "BLOCK", 3)
    assert gaussian_distance(x, x[:7]) == pytest.approx(whole, rel=1e-9)


def test_metrics_keep_features_and_say_when_there_are_too_few():
    images = noise_pictures(4)
    sides = batch(images, images[::-1])
    for metric in (KID(Colours()), CMMD(Colours(), "pooled")):
        a, b = metric.features(sides.original), metric.features(sides.custom)
        assert a.shape == (4, 3)
        assert metric.compare(a, b).value == pytest.approx(metric.compare(b, a).value)
    assert np.isnan(KID(Colours()).compare(a[:1], b[:1]).value) and np.isnan(CMMD(Colours()).compare(a[:0], b).value)


@pytest.mark.parametrize("kind", [FID, CleanFID, KID, CMMD])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("n", [20, 100])
def test_features_that_are_not_finite_have_no_distance(kind, value, n):
    sound = torch.randn(n, 48, generator=torch.Generator().manual_seed(0))
    broken = sound.clone()
    broken[3, 5] = value
    for sides in ((sound, broken), (broken, sound)):
        found = kind(Colours()).compare(*sides)
        assert math.isnan(found.value) and found.note == "the network gave no finite features"
