"""Response enhancement: the target text's presence in the one-step prediction (Sec. 3.4)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from spf_train import losses
from spf_train.clip import FrozenClip
from spf_train.config import SPFConfig
from spf_train.data import Batch


class ResponseEnhancement:
    """L_enh of one-step predictions; the gradient passes through the frozen VAE decoder and CLIP image tower.

    vae: the pipeline's AutoencoderKL; its decoder is used.
    clip: the CLIP to train with; its image tower is used.
        Both may be None where w_enh is 0: then there is no loss.
    config: w_enh, response_loss, enhance_decode and enhance_t_max are used.
    """

    def __init__(self, vae: Any, clip: FrozenClip | None, config: SPFConfig) -> None:
        self.vae: Any = None if vae is None else vae.eval().requires_grad_(False)
        self.clip = clip
        self.config = config

    def loss(self, batch: Batch, x0: Tensor) -> Tensor:
        """L_enh (Eq. 10) or L_clip (Eq. 11) of predictions x̂0 [B, C, h, w]: a mean over the batch.

        Samples without a caption, or beyond `enhance_t_max`, count as 0.
        """
        rows = self.enhanced(batch).nonzero().flatten()
        if not len(rows) or not self.config.w_enh or self.clip is None:
            return 0 * x0.sum()
        predicted, text = self.clip.embed_images(self.decode(x0[rows])), batch.target_embeds[rows]
        if self.config.response_loss == "clip":
            loss = losses.clip_loss(predicted, text)
        else:
            loss = losses.difference_loss(predicted, batch.image_embeds[rows], text)
        return loss.sum() / len(batch)

    def enhanced(self, batch: Batch) -> Tensor:
        """Which samples are enhanced, bool [B]."""
        last = self.config.enhance_t_max
        return ~batch.dropped if last is None else ~batch.dropped & (batch.t <= last)

    def decode(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W], around [0, 1], of scaled latents [B, C, h, w]; differentiable."""
        config = self.vae.config
        latents = x0 / config.scaling_factor + (config.get("shift_factor") or 0.0)
        if self.config.enhance_decode == "clip-size":
            assert self.clip is not None
            latents = self._clip_sized(latents, self.clip.preprocessing.size)
        images: Tensor = self.vae.decode(latents).sample / 2 + 0.5
        return images

    def _clip_sized(self, latents: Tensor, side: int) -> Tensor:
        """Latents whose decoded image has CLIP's input size, `side`; smaller ones are left as they are."""
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        edges = latents.shape[2:]
        scale = side / (factor * min(edges))
        if scale >= 1:
            return latents
        size = (round(edges[0] * scale), round(edges[1] * scale))
        return F.interpolate(latents, size, mode="bilinear", align_corners=False, antialias=True)
