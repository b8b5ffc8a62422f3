"""Each loss against plain loops written from its equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spf_train import losses

B, H, N, HW, D = 2, 3, 4, 6, 5
Array = NDArray[np.float64]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention_row(key: Array, query: Array) -> Array:
    """softmax over image positions of K·Q / √d, for one token."""
    scores = np.array([sum(key[c] * q[c] for c in range(D)) / math.sqrt(D) for q in query])
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def looped_features(key: Array, query: Array, released: Array) -> Array:
    features = np.zeros((B, H, N, D))
    for b in range(B):
        for h in range(H):
            for n in range(N):
                weights = attention_row(key[b, h, n], query[b, h])
                for p in range(HW):
                    features[b, h, n] += weights[p] * (1 - released[b, p]) * query[b, h, p]
    return features


def looped_norm(difference: Array, norm: str) -> float:
    squares = [float(x) ** 2 for x in difference.ravel()]
    return math.sqrt(sum(squares)) if norm == "l2" else sum(squares) / len(squares)


def test_text_features_are_attention_k_q_q_over_masked_values() -> None:
    key, query, released = random(B, H, N, D), random(B, H, HW, D, seed=1), torch.rand(B, HW)
    expected = looped_features(key.double().numpy(), query.double().numpy(), released.double().numpy())
    np.testing.assert_allclose(losses.text_features(key, query, released), expected, atol=1e-5)
    unmasked = looped_features(key.double().numpy(), query.double().numpy(), np.zeros((B, HW)))
    np.testing.assert_allclose(losses.text_features(key, query), unmasked, atol=1e-5)


def test_text_maps_are_attention_over_positions_times_what_is_kept() -> None:
    key, query, released = random(B, H, N, D), random(B, H, HW, D, seed=1), torch.rand(B, HW)
    maps = losses.text_maps(key, query, released)
    for b, h, n in np.ndindex(B, H, N):
        row = attention_row(key[b, h, n].double().numpy(), query[b, h].double().numpy())
        np.testing.assert_allclose(maps[b, h, n], row * (1 - released[b].numpy()), atol=1e-6)


@pytest.mark.parametrize("norm", ["mse", "l2"])
def test_text_consistent_loss_counts_only_each_samples_own_positions(norm: losses.Norm) -> None:
    ref, res = random(B, H, N, D), random(B, H, N, D, seed=1)
    positions = torch.tensor([[True, True, True, True], [True, True, False, False]])
    loss = losses.text_consistent_loss(ref, res, positions, norm)
    difference = (ref - res).double().numpy()
    for b in range(B):
        counted = difference[b][:, positions[b].numpy()]
        assert loss[b].item() == pytest.approx(looped_norm(counted, norm), rel=1e-5)


@pytest.mark.parametrize("norm", ["mse", "l2"])
def test_fine_grained_loss_weighs_each_location_by_what_is_kept(norm: losses.Norm) -> None:
    ref, res, released = random(B, H, HW, D), random(B, H, HW, D, seed=1), torch.rand(B, HW)
    loss = losses.fine_grained_loss(ref, res, released, norm)
    for b in range(B):
        masked = (ref - res)[b].double().numpy() * (1 - released[b].double().numpy())[None, :, None]
        assert loss[b].item() == pytest.approx(looped_norm(masked, norm), rel=1e-5)
    assert torch.equal(
        losses.fine_grained_loss(ref, res, None, norm),
        losses.fine_grained_loss(ref, res, torch.zeros(B, HW), norm),
    )


def test_a_fully_released_location_takes_no_part() -> None:
    ref, res = random(B, H, HW, D), random(B, H, HW, D, seed=1)
    released = torch.zeros(B, HW)
    released[:, 2] = 1
    changed = res.clone()
    changed[:, :, 2] += 100
    before, after = (losses.fine_grained_loss(ref, x, released, "mse") for x in (res, changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("norm", ["mse", "l2"])
def test_equal_paths_have_no_loss_and_a_finite_gradient(norm: losses.Norm) -> None:
    ref = random(B, H, HW, D)
    res = ref.clone().requires_grad_()
    loss = losses.fine_grained_loss(ref, res, None, norm).sum()
    loss.backward()
    assert loss.item() == 0
    assert res.grad is not None and torch.equal(res.grad, torch.zeros_like(ref))


def cosine(a: Array, b: Array) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def test_difference_loss_compares_directions_from_the_text() -> None:
    predicted, real, text = (torch.nn.functional.normalize(random(B, 8, seed=s), dim=-1) for s in range(3))
    loss = losses.difference_loss(predicted, real, text)
    clip = losses.clip_loss(predicted, text)
    for b in range(B):
        p, r, e = (x[b].double().numpy() for x in (predicted, real, text))
        assert loss[b].item() == pytest.approx(1 - cosine(p - e, r - e), abs=1e-6)
        assert clip[b].item() == pytest.approx(1 - cosine(p, e), abs=1e-6)


def test_diffusion_loss_is_the_mean_square_of_each_sample() -> None:
    output, target = random(B, 4, 3, 3), random(B, 4, 3, 3, seed=1)
    loss = losses.diffusion_loss(output, target)
    for b in range(B):
        squares = [(x - y) ** 2 for x, y in zip(output[b].ravel(), target[b].ravel(), strict=True)]
        assert loss[b].item() == pytest.approx(float(sum(squares)) / len(squares), rel=1e-5)
