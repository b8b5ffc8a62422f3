"""SVDiff: only singular values move, none below 0, and no shift is no change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.merge import merged
from baselines.svdiff.spectrum import SpectralShift, shift_spectra
from tests.tiny import tiny_unet

SHAPES = [(6, 10), (10, 6), (8, 4, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shift_is_the_weight_itself(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape)
    assert torch.equal(SpectralShift(weight)(weight), weight)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_move_and_vectors_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape)
    shift = SpectralShift(weight)
    nn.init.normal_(shift.delta, std=0.5)
    shift.delta.data[-1] = -100  # what would fall below 0 ends there
    expected = (shift.U * (shift.S + shift.delta).relu()) @ shift.Vh
    torch.testing.assert_close(shift(weight).flatten(1), expected, atol=1e-5, rtol=1e-4)
    values = torch.linalg.svdvals(shift(weight).flatten(1))
    torch.testing.assert_close(
        values, (shift.S + shift.delta).relu().sort(descending=True).values, atol=1e-5, rtol=1e-4
    )


def test_the_shifts_gradient_is_that_of_the_singular_values() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(5, 7), torch.randn(3, 7)
    shift = SpectralShift(weight)
    (x @ shift(weight).T).square().sum().backward()
    outer = torch.autograd.functional.jacobian(lambda w: (x @ w.T).square().sum(), weight)
    assert shift.delta.grad is not None
    torch.testing.assert_close(shift.delta.grad, (shift.U.T @ outer @ shift.Vh.T).diagonal(), atol=1e-4, rtol=1e-4)


def test_autocast_does_not_touch_it() -> None:
    weight = torch.randn(6, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(SpectralShift(weight)(weight), weight)


def test_every_linear_and_convolution_of_a_unet_is_shifted() -> None:
    unet = tiny_unet()
    layers = [module for module in unet.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    values = sum(min(module.weight.flatten(1).shape) for module in layers)
    shift_spectra(unet)
    trained = {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}
    assert len(trained) == len(layers) and sum(weight.numel() for weight in trained.values()) == values
    plain = merged(unet)
    for (name, old), new in zip(tiny_unet().named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(old, new), name
