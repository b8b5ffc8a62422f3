"""The control map against plain loops written from Eq. 5-7."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spf_train import control_map as sfcm
from spf_train.tap import LayerQK

B, H, L, D, P, SIZE = 2, 2, 7, 3, 3, (4, 4)
TOKENS = torch.zeros(B, P, L, dtype=torch.bool)
TOKENS[0, 0, 1:3] = TOKENS[0, 1, 4:5] = TOKENS[1, 0, 1:2] = TOKENS[1, 1, 3:5] = TOKENS[1, 2, 5:6] = True


def layers() -> list[LayerQK]:
    g = torch.Generator().manual_seed(0)
    return [LayerQK(torch.randn(B, H, n, D, generator=g), torch.randn(B, H, L, D, generator=g)) for n in (16, 4)]


def looped_probability(layer: LayerQK, b: int, h: int, p: int, first: int) -> np.ndarray:
    """softmax over the text positions from `first` on, of one image position."""
    query, key = layer.query[b, h, p].double().numpy(), layer.key[b, h].double().numpy()
    scores = [sum(query[c] * key[i, c] for c in range(D)) / math.sqrt(D) for i in range(L)]
    exponentials = [math.exp(score) if i >= first else 0.0 for i, score in enumerate(scores)]
    return np.array(exponentials) / sum(exponentials)


def looped_phrase_map(b: int, i: int, kind: str) -> np.ndarray:
    members = TOKENS[b, i].nonzero().flatten().tolist()
    total = np.zeros(SIZE)
    for layer in layers():
        positions = layer.query.shape[2]
        side = math.isqrt(positions)
        small = np.zeros(positions)
        for p in range(positions):
            for h in range(H):
                probability = looped_probability(layer, b, h, p, first=1 if kind == "mass" else 0)
                share = sum(probability[m] for m in members)
                small[p] += share / H / (1 if kind == "mass" else len(members))
        image = torch.from_numpy(small).view(1, 1, side, side)
        total += F.interpolate(image, SIZE, mode="bilinear", align_corners=False)[0, 0].numpy() / len(layers())
    return total if kind == "mass" else (total - total.min()) / (total.max() - total.min())


@pytest.mark.parametrize("kind", ["minmax", "mass"])
def test_phrase_maps(kind: sfcm.PhraseMap) -> None:
    maps = sfcm.phrase_maps(layers(), TOKENS, SIZE, kind)
    for b, i in np.ndindex(B, P):
        if TOKENS[b, i].any():
            np.testing.assert_allclose(maps[b, i], looped_phrase_map(b, i, kind), atol=1e-5)
        else:
            assert not maps[b, i].any()


def test_mass_of_all_phrases_is_at_most_the_whole_attention() -> None:
    assert sfcm.phrase_maps(layers(), TOKENS, SIZE, "mass").sum(dim=1).max() <= 1


def test_soft_map_is_the_scaled_mean_difference_of_the_noise() -> None:
    ref, res = torch.randn(B, 4, *SIZE), torch.randn(B, 4, *SIZE)
    soft = sfcm.soft_map(ref, res)
    for b in range(B):
        raw = [[sum(abs(ref[b, c, y, x] - res[b, c, y, x]) for c in range(4)) / 4 for x in range(4)] for y in range(4)]
        array = np.array(raw, dtype=np.float64)
        expected = (array - array.min()) / (array.max() - array.min())
        np.testing.assert_allclose(soft[b, 0], expected, atol=1e-5)


def test_quantile_scale_puts_the_calmed_median_at_0_and_the_90th_percentile_at_1() -> None:
    ref, res = torch.randn(B, 4, 8, 8), torch.randn(B, 4, 8, 8)
    soft = sfcm.soft_map(ref, res, "quantile")
    for b in range(B):
        raw = (ref[b] - res[b]).abs().mean(dim=0).numpy().astype(np.float64)
        wide = np.pad(raw, 1, mode="edge")
        calm = np.array([[wide[y : y + 3, x : x + 3].mean() for x in range(8)] for y in range(8)])
        low, high = np.quantile(calm, 0.5), np.quantile(calm, 0.9)
        np.testing.assert_allclose(soft[b, 0], np.clip((calm - low) / (high - low), 0, 1), atol=1e-5)


@pytest.mark.parametrize("scale", ["minmax", "quantile"])
def test_equal_predictions_release_nothing(scale: sfcm.SoftScale) -> None:
    ref = torch.randn(B, 4, *SIZE)
    soft = sfcm.soft_map(ref, ref, scale)
    released = sfcm.control_map(soft, torch.zeros(B, P, *SIZE), torch.ones(B, P), rescale=True)
    assert not released.any()


@pytest.mark.parametrize("rescale", [False, True])
def test_control_map_removes_what_irrelevant_phrases_look_at(rescale: bool) -> None:
    soft, phrases, gamma = torch.rand(B, 1, *SIZE), torch.rand(B, P, *SIZE), torch.rand(B, P)
    released = sfcm.control_map(soft, phrases, gamma, rescale)
    for b in range(B):
        expected = np.zeros(SIZE)
        for y, x in np.ndindex(*SIZE):
            taken = sum(float(phrases[b, i, y, x]) * (1 - float(gamma[b, i])) for i in range(P))
            expected[y, x] = min(max(float(soft[b, 0, y, x]) - taken, 0), 1)
        if rescale:
            expected /= max(expected.max(), 1e-8)
        np.testing.assert_allclose(released[b, 0], expected, atol=1e-5)


def test_relevance_is_shifted_then_clamped() -> None:
    gamma = sfcm.relevance(torch.tensor([-0.5, 0.2, 0.9]), shift=0.3)
    assert torch.allclose(gamma, torch.tensor([0.0, 0.5, 1.0]))


def test_layer_resolution_is_an_area_mean() -> None:
    released = torch.rand(B, 1, 4, 4)
    local = sfcm.at_layer(released, 4)
    assert local[1, 3].item() == pytest.approx(released[1, 0, 2:, 2:].mean().item())
    assert torch.equal(sfcm.at_layer(released, 16), released.flatten(1))


def test_max_keeps_a_small_region_released() -> None:
    released = torch.zeros(1, 1, 4, 4)
    released[0, 0, 3, 2] = 0.9
    assert torch.allclose(sfcm.at_layer(released, 4, "max"), torch.tensor([[0.0, 0.0, 0.0, 0.9]]))
    assert torch.equal(sfcm.at_layer(released, 16, "max"), released.flatten(1))


def test_layer_sizes_of_uneven_latents() -> None:
    assert sfcm.layer_size(5 * 3, (9, 6)) == (5, 3)
    with pytest.raises(ValueError, match="no halving"):
        sfcm.layer_size(7, (4, 4))
