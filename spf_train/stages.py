"""What one training step of each stage is: a batch in, a loss and its terms out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spf_train import losses, variants
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


class NaiveStage(Stage):
    """Stage 1, naive fine-tuning: the complete text and L_diff (Eq. 1 of arXiv:2504.00396v1).

    unet: the UNet2DConditionModel that trains, fp32.
    diffusion: the pipeline's noise process.
    which: the weights that train; None where `variants.apply` has chosen them, with settings of its own.
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
        self._trainable = variants.apply(unet, which)

    def trainable(self) -> dict[str, nn.Parameter]:
        """The chosen UNet weights."""
        return self._trainable

    def save(self, folder: Path) -> None:
        """Writes folder/unet, and what the variant keeps beside it; see `variants.save`."""
        variants.save(self.unet, folder)

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """L_diff and the term "diff"."""
        x_t = self.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        output = self.predict(batch, x_t)
        diff = self.diffusion_loss(output, batch).mean()
        return diff, {"diff": diff}

    def predict(self, batch: Batch, x_t: Tensor) -> Tensor:
        """The UNet's output [B, C, h, w] for the complete text."""
        text = variants.text_states(self.unet, batch.complete, batch.target, ~batch.dropped)
        output: Tensor = self.unet(x_t, batch.t, text).sample
        return output

    def diffusion_loss(
        self, output: Tensor, batch: Batch, share: Tensor | None = None, goal: Tensor | None = None
    ) -> Tensor:
        """L_diff of each sample [B], its places weighted by `share` [B, 1, h, w].

        goal: what the output shall be [B, C, h, w]; None is the image's own noise (or v, or x0).
        """
        if goal is None:
            goal = self.diffusion.target(batch.x0, batch.eps, batch.t)
        loss = losses.diffusion_loss(output, goal, share)
        if self.min_snr_gamma is None:
            return loss
        return loss * self.diffusion.min_snr_weight(batch.t, self.min_snr_gamma)
