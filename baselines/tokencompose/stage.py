"""The training step of TokenCompose: all UNet weights, noise prediction and both grounding losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from baselines.tokencompose.attention import AttentionRecorder, Groups
from baselines.tokencompose.grounding import Grounding
from baselines.tokencompose.losses import pixel_loss, token_loss
from spf_train.data import Batch
from spf_train.prediction import Diffusion
from spf_train.stages import NaiveStage, Terms


class GroundedStage(NaiveStage):
    """L_diff + λ_t Σ_g T_g + λ_p Σ_g P_g over the groups g of mid and up cross-attention (Sec. 3.2, arXiv:2312.03626).

    grounding: tokens and regions of the samples' nouns, rows as the samples'.
    w_token, w_pixel: λ_t and λ_p.
    The other arguments are those of NaiveStage.
    """

    def __init__(
        self,
        unet: Any,
        diffusion: Diffusion,
        grounding: Grounding,
        w_token: float,
        w_pixel: float,
        min_snr_gamma: float | None = None,
    ) -> None:
        super().__init__(unet, diffusion, "all", min_snr_gamma)
        self.grounding = grounding
        self.w_token, self.w_pixel = w_token, w_pixel
        self.recorder = AttentionRecorder(unet)

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """The total; its terms "diff", "token", "pixel", unweighted. A dropped caption enters "diff" alone."""
        x_t = self.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        with self.recorder.recording() as groups:
            output = self.predict(batch, x_t)
        diff = self.diffusion_loss(output, batch).mean()
        terms = {"diff": diff, **self.grounding_losses(batch, groups)}
        return diff + self.w_token * terms["token"] + self.w_pixel * terms["pixel"], terms

    def grounding_losses(self, batch: Batch, groups: Groups) -> Terms:
        """Both losses, summed over groups and averaged over samples, those without nouns included as 0."""
        tokens, regions = self.grounding.at(batch.index)
        tokens = tokens & ~batch.dropped[:, None, None]
        # Reentrant checkpointing hands out maps without gradients, and the losses would do nothing.
        if torch.is_grad_enabled() and not all(map_.requires_grad for maps in groups.values() for map_ in maps):
            raise RuntimeError("attention maps carry no gradient: use checkpointing with use_reentrant=False")
        sides = {name: int(name.split("_")[1]) for name in groups}
        token = [token_loss(maps, tokens, regions[sides[name]]) for name, maps in groups.items()]
        pixel = [pixel_loss(maps, tokens, regions[sides[name]]) for name, maps in groups.items()]
        return {"token": torch.stack(token).sum(dim=0).mean(), "pixel": torch.stack(pixel).sum(dim=0).mean()}
