"""The forward diffusion process and what a UNet's output means, for every prediction type of diffusers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from spf_train.errors import ConfigError

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Diffusion:
    """x_t = alpha_t x0 + sigma_t eps, with alpha_t^2 = alpha_bar_t and sigma_t^2 = 1 - alpha_bar_t.

    alphas_cumprod: alpha_bar [T], float32, after any rescaling the scheduler's config asks for.
    prediction_type: what the UNet predicts: "epsilon", "v_prediction" or "sample".
    """

    alphas_cumprod: Tensor
    prediction_type: str

    @classmethod
    def from_scheduler(cls, scheduler: Any) -> Diffusion:
        """The training process of any diffusers scheduler; raises ConfigError for one it cannot describe."""
        if "beta_schedule" not in scheduler.config:
            why = f"{type(scheduler).__name__} has no noise schedule of betas"
            fix = "use a pipeline saved with a DDIM, DDPM or PNDM scheduler"
            raise ConfigError("cannot train with this scheduler", why, fix)
        # DDPMScheduler reads the same keys (betas, zero-SNR rescaling) whatever sampler was saved.
        ddpm = DDPMScheduler.from_config(scheduler.config)
        kind = ddpm.config.prediction_type
        what = f"cannot train with prediction_type={kind!r}"
        if kind not in PREDICTION_TYPES:
            raise ConfigError(what, f"known: {', '.join(PREDICTION_TYPES)}", "change the scheduler's config")
        if kind == "epsilon" and ddpm.alphas_cumprod[-1] == 0:
            why = "betas are rescaled to zero terminal SNR, where noise says nothing about the image"
            raise ConfigError(what, why, "use v_prediction, or set rescale_betas_zero_snr to false")
        return cls(ddpm.alphas_cumprod.float(), kind)

    @property
    def timesteps(self) -> int:
        """T, the number of training timesteps."""
        return len(self.alphas_cumprod)

    def to(self, device: torch.device) -> Diffusion:
        """The same process on another device."""
        return Diffusion(self.alphas_cumprod.to(device), self.prediction_type)

    def scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t [B, 1, 1, 1] at timesteps t [B]."""
        alpha_bar = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t [B, C, h, w]."""
        alpha, sigma = self.scales(t)
        return alpha * x0 + sigma * eps

    def target(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the UNet's output [B, C, h, w] is compared with in L_diff."""
        if self.prediction_type == "epsilon":
            return eps
        if self.prediction_type == "sample":
            return x0
        alpha, sigma = self.scales(t)
        return alpha * eps - sigma * x0

    def epsilon(self, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The noise [B, C, h, w] that a UNet output at x_t stands for."""
        if self.prediction_type == "epsilon":
            return output
        alpha, sigma = self.scales(t)
        if self.prediction_type == "sample":
            return (x_t - alpha * output) / sigma
        return alpha * output + sigma * x_t

    def x0(self, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """One-step prediction of the clean latent [B, C, h, w]; Eq. 9 of arXiv:2504.00396v1 for epsilon."""
        if self.prediction_type == "sample":
            return output
        alpha, sigma = self.scales(t)
        if self.prediction_type == "v_prediction":
            return alpha * x_t - sigma * output
        return (x_t - sigma * output) / alpha

    def min_snr_weight(self, t: Tensor, gamma: float) -> Tensor:
        """Weight of L_diff [B]: min(SNR, gamma) in units of the x0 loss (Sec. 3.4 of arXiv:2303.09556)."""
        alpha_bar = self.alphas_cumprod[t]
        snr = alpha_bar / (1 - alpha_bar)
        clipped = snr.clamp(max=gamma)
        if self.prediction_type == "sample":
            return clipped
        return clipped / (snr if self.prediction_type == "epsilon" else snr + 1)
