"""What one training step of each stage is: a batch in, a loss and its terms out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spf_train import losses
from spf_train.config import Trainable
from spf_train.data import Batch
from spf_train.prediction import Diffusion

Terms = dict[str, Tensor]


class Stage(ABC):
    """What the loop trains. A baseline with its own weights or losses subclasses this, or NaiveStage."""

    diffusion: Diffusion

    @abstractmethod
    def trainable(self) -> dict[str, nn.Parameter]:
        """The weights the optimiser updates, by name; fp32."""

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """The loss of a batch and its terms, each a mean over samples: parts of a batch are averaged."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the trained result into `folder`."""

    def after_step(self, step: int) -> None:  # noqa: B027 (here and below: hooks that most stages leave empty)
        """Called after optimiser step `step` (from 1), before gradients are cleared."""

    def report(self, folder: Path) -> None:  # noqa: B027
        """Called after every checkpoint: may write pictures of what the stage does into `folder`."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to keep besides the trainable weights; tensors, numbers and dicts of them."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Takes back what `state` gave."""


def select_trainable(unet: nn.Module, which: Trainable | None) -> dict[str, nn.Parameter]:
    """Freezes `unet` except the weights of `which`, and returns those by name.

    None keeps the choice made before, where a baseline has added weights of its own (LoRA, an adapter).
    """
    if which is not None:
        unet.requires_grad_(which == "all")
    if which == "cross_attention":
        for name, module in unet.named_modules():
            if name.endswith("attn2"):
                module.requires_grad_(True)
    return {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}


class NaiveStage(Stage):
    """Stage 1, naive fine-tuning: the complete text and L_diff (Eq. 1 of arXiv:2504.00396v1).

    unet: the UNet2DConditionModel that trains, fp32.
    diffusion: the pipeline's noise process.
    which: the weights that train; see `select_trainable`.
    min_snr_gamma: see StageConfig.
    """

    def __init__(
        self,
        unet: Any,
        diffusion: Diffusion,
        which: Trainable | None = "all",
        min_snr_gamma: float | None = None,
    ) -> None:
        self.unet = unet.train()
        self.diffusion = diffusion.to(unet.device)
        self.min_snr_gamma = min_snr_gamma
        self._trainable = select_trainable(unet, which)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The chosen UNet weights."""
        return self._trainable

    def save(self, folder: Path) -> None:
        """Writes folder/unet."""
        self.unet.save_pretrained(folder / "unet")

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """L_diff and the term "diff"."""
        x_t = self.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        output = self.unet(x_t, batch.t, batch.complete).sample
        diff = self.diffusion_loss(output, batch).mean()
        return diff, {"diff": diff}

    def diffusion_loss(self, output: Tensor, batch: Batch) -> Tensor:
        """L_diff of each sample [B]."""
        target = self.diffusion.target(batch.x0, batch.eps, batch.t)
        loss = losses.diffusion_loss(output, target)
        if self.min_snr_gamma is None:
            return loss
        return loss * self.diffusion.min_snr_weight(batch.t, self.min_snr_gamma)
