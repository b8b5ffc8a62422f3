"""Every prediction type describes the same noise and image."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler

from spf_train.errors import ConfigError
from spf_train.prediction import PREDICTION_TYPES, Diffusion


def process(kind: str = "epsilon", **settings: object) -> Diffusion:
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", prediction_type=kind, **settings)
    return Diffusion.from_scheduler(scheduler)


@pytest.fixture
def point() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(4, 4, 8, 8, generator=g, dtype=torch.float64) for _ in range(2))
    return x0, eps, torch.tensor([0, 200, 700, 999])


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_training_target_gives_back_noise_and_image(kind: str, point: tuple[torch.Tensor, ...]) -> None:
    x0, eps, t = point
    diffusion = process(kind)
    x_t, output = diffusion.add_noise(x0, eps, t), diffusion.target(x0, eps, t)
    torch.testing.assert_close(diffusion.epsilon(output, x_t, t), eps, atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(diffusion.x0(output, x_t, t), x0, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_agrees_with_diffusers(kind: str, point: tuple[torch.Tensor, ...]) -> None:
    x0, eps, t = (tensor.float() if tensor.is_floating_point() else tensor for tensor in point)
    diffusion = process(kind)
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=kind)
    torch.testing.assert_close(diffusion.add_noise(x0, eps, t), scheduler.add_noise(x0, eps, t))
    if kind == "v_prediction":
        torch.testing.assert_close(diffusion.target(x0, eps, t), scheduler.get_velocity(x0, eps, t))


def test_v_prediction_equals_epsilon_on_consistent_outputs(point: tuple[torch.Tensor, ...]) -> None:
    x0, eps, t = point
    as_eps, as_v = process("epsilon"), process("v_prediction")
    x_t = as_eps.add_noise(x0, eps, t)
    guess = torch.randn_like(eps)
    v = as_v.target(as_eps.x0(guess, x_t, t), guess, t)
    torch.testing.assert_close(as_v.epsilon(v, x_t, t), guess, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(as_v.x0(v, x_t, t), as_eps.x0(guess, x_t, t), atol=1e-3, rtol=1e-3)


def test_zero_terminal_snr_needs_another_prediction_than_epsilon() -> None:
    rescaled = process("v_prediction", rescale_betas_zero_snr=True)
    assert rescaled.alphas_cumprod[-1] < 1e-6 < process("v_prediction").alphas_cumprod[-1]
    with pytest.raises(ConfigError, match="zero terminal SNR"):
        process("epsilon", rescale_betas_zero_snr=True)


def test_a_scheduler_without_betas_is_refused() -> None:
    with pytest.raises(ConfigError, match="betas"):
        Diffusion.from_scheduler(FlowMatchEulerDiscreteScheduler())


def test_min_snr_weight() -> None:
    t = torch.tensor([0, 500, 999])
    diffusion = process("epsilon")
    snr = diffusion.alphas_cumprod[t] / (1 - diffusion.alphas_cumprod[t])
    weight = diffusion.min_snr_weight(t, gamma=5.0)
    torch.testing.assert_close(weight, torch.tensor([5 / snr[0].item(), 1.0, 1.0]))
    v_weight = process("v_prediction").min_snr_weight(t, gamma=5.0)
    torch.testing.assert_close(v_weight, snr.clamp(max=5) / (snr + 1))
