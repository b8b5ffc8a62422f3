"""A weight as its singular vectors, which stay, and its singular values, which are shifted (Sec. 3.1 of SVDiff)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from baselines.adapted_stage import AdaptedStage

LAYERS = (nn.Linear, nn.Conv2d)


class SpectralShift(nn.Module):
    """U diag(relu(σ + δ)) Vᵀ of a weight W = U diag(σ) Vᵀ; δ = 0 gives W itself, bit for bit.

    It is computed as W plus what the shift changes: what rounding does to the decomposition never enters.

    weight: W [out, in] or [out, in, kh, kw], a matrix of out rows.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        U, S, Vh = torch.linalg.svd(weight.detach().float().flatten(1), full_matrices=False)
        for name, factor in (("U", U), ("S", S), ("Vh", Vh)):
            self.register_buffer(name, factor.contiguous(), persistent=False)
        self.delta = nn.Parameter(torch.zeros_like(S))

    def forward(self, weight: Tensor) -> Tensor:
        """The shifted weight, of the shape of `weight`; fp32 whatever autocast says."""
        with torch.autocast(weight.device.type, enabled=False):
            shift = (self.S + self.delta).relu() - self.S
            return weight + ((self.U * shift) @ self.Vh).view(weight.shape)


def shift_spectra(unet: nn.Module) -> None:
    """Freezes a UNet and gives every linear and convolution weight in it a SpectralShift, which trains."""
    unet.requires_grad_(False)
    for module in [module for module in unet.modules() if isinstance(module, LAYERS)]:
        parametrize.register_parametrization(module, "weight", SpectralShift(module.weight))


class SVDiffStage(AdaptedStage):
    """L_diff over the shifts of a UNet's singular values, which `shift_spectra` added."""

    def facts(self) -> dict[str, Any]:
        """How far the values were moved: the shifts' L2 norm over that of all singular values."""
        shifts = [module for module in self.unet.modules() if isinstance(module, SpectralShift)]
        moved, whole = (
            torch.stack([value.detach().square().sum() for value in values]).sum().sqrt()
            for values in ([shift.delta for shift in shifts], [shift.S for shift in shifts])
        )
        return {**super().facts(), "relative_shift": round(float(moved / whole), 6)}

    def save_added(self, folder: Path) -> None:
        """Writes δ of every layer by its name."""
        suffix = ".parametrizations.weight.0.delta"
        shifts = {name.removesuffix(suffix): w.detach().cpu().contiguous() for name, w in self.trainable().items()}
        save_file(shifts, folder / "spectral_shifts.safetensors", {"format": "pt"})
