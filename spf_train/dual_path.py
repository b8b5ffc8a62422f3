"""Stage 2: dual-path contrastive learning, the heart of SPF-Portrait (Sec. 3.2-3.4 of arXiv:2504.00396v1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spf_train import control_map as sfcm
from spf_train import losses, variants
from spf_train.config import SPFConfig, Trainable
from spf_train.contrast import ContrastTarget
from spf_train.data import Batch
from spf_train.enhancement import ResponseEnhancement
from spf_train.pictures import save_maps
from spf_train.prediction import Diffusion
from spf_train.stages import NaiveStage, Terms
from spf_train.tap import CrossAttentionTap, LayerQK
from spf_train.text import phrase_tokens


class Pass(NamedTuple):
    """What a forward pass of one path gave.

    output: the UNet's prediction [B, C, h, w].
    layers: Q and K of each cross-attention layer.
    """

    output: Tensor
    layers: list[LayerQK]

    def take(self, rows: Tensor) -> Pass:
        """The pass of some samples, in ascending order; all of them are not copied."""
        if len(rows) == len(self.output):
            return self
        return Pass(self.output[rows], [layer.take(rows) for layer in self.layers])


class DualPathStage(NaiveStage):
    """The response path learns the target text; the frozen reference path shows what has to stay.

    Both paths get the same x_t: the reference path with the base text, the response path with the complete
    text. The reference path is frozen, and no gradient flows through the control map.

    response: the UNet that trains, usually stage 1's.
    reference: the original UNet; its weights may be in half precision, under autocast.
    enhancement: the response loss, with its frozen VAE and CLIP.
    config: losses and switches.
    mean_cosine: the training set's mean phrase-target similarity, for `gamma_center`.
    contrast: the goal of L_diff, where it is not the images' noise.

    soft, released: the maps M and M̂ [B, 1, h, w] of the last aligned batch, to be looked at.
    """

    def __init__(
        self,
        response: Any,
        reference: Any,
        enhancement: ResponseEnhancement,
        diffusion: Diffusion,
        config: SPFConfig,
        which: Trainable | None = "cross_attention",
        min_snr_gamma: float | None = None,
        mean_cosine: float = 0.0,
        contrast: ContrastTarget | None = None,
    ) -> None:
        super().__init__(response, diffusion, which, min_snr_gamma)
        self.reference = reference.eval().requires_grad_(False)
        self.enhancement = enhancement
        self.config = config
        self.contrast = contrast
        self.weights = {
            "diff": config.w_diff,
            "text": config.w_text,
            "fine": config.w_fine,
            "enh": config.w_enh,
        }
        self.gamma_shift = 0.0 if config.gamma_center is None else config.gamma_center - mean_cosine
        self.released_only = config.diff_area == "released"
        self.soft: Tensor | None = None
        self.released: Tensor | None = None

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """The total of Eq. 12; its terms "diff", "text", "fine", "enh", unweighted; "coverage", mean M̂.

        Samples that are not aligned count as 0 in "text", "fine" and "coverage".
        """
        x_t = self.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        with CrossAttentionTap(self.unet) as tap:
            output = self.predict(batch, x_t)
        res, rows = Pass(output, tap.layers), self.aligned_rows(batch)
        ref, goal = self.look_up(batch, x_t, rows)
        aligned, share = self.alignment(batch, x_t, rows, ref, res)
        terms = {"diff": self.diffusion_loss(output, batch, share, goal).mean(), **aligned}
        terms["enh"] = self.enhancement.loss(batch, self.diffusion.x0(output, x_t, batch.t))
        weighted = [weight * terms[name] for name, weight in self.weights.items() if weight]
        return torch.stack(weighted).sum(), terms

    def report(self, folder: Path) -> None:
        """Writes the maps of the last aligned batch: one row per sample, M beside M̂."""
        if self.soft is not None and self.released is not None:
            save_maps(folder / "maps.png", self.soft, self.released)

    def look_up(self, batch: Batch, x_t: Tensor, rows: Tensor) -> tuple[Pass | None, Tensor | None]:
        """What the frozen models say: the reference path of the samples `rows`, and L_diff's goal.

        None where no sample is aligned; None where the goal is the images' noise.
        """
        if self.contrast is not None:
            ref = self.reference_path(batch, x_t)
            return ref.take(rows), self.contrast(batch, x_t, ref.output)
        return (self.reference_path(*_take(batch, x_t, rows)), None) if len(rows) else (None, None)

    @torch.no_grad()
    def reference_path(self, batch: Batch, x_t: Tensor) -> Pass:
        """The original model, with the base text."""
        with CrossAttentionTap(self.reference) as tap:
            output = self.reference(x_t, batch.t, batch.base).sample
        return Pass(output, tap.layers)

    def alignment(
        self, batch: Batch, x_t: Tensor, rows: Tensor, ref: Pass | None, res: Pass
    ) -> tuple[Terms, Tensor | None]:
        """L_text and L_fine (Eq. 8), the control map's coverage, and where L_diff acts; see `diffusion_share`.

        rows: the samples on which alignment acts; the others count as 0, and the control map does not see them.
        ref, res: the reference path of those samples, and the response path of all.
        """
        if ref is None or not len(rows):
            return dict.fromkeys(("text", "fine", "coverage"), 0 * res.output.sum()), None
        aligned, x_t = _take(batch, x_t, rows)
        res = res.take(rows)
        released = self.released_area(aligned, x_t, ref, res)
        text, fine = self.layer_losses(ref.layers, res.layers, self.positions(aligned), released)
        sums = {"text": text.sum(), "fine": fine.sum(), "coverage": released.mean(dim=(1, 2, 3)).sum()}
        terms = {name: total / len(batch) for name, total in sums.items()}
        return terms, self.diffusion_share(released, rows, len(batch)) if self.released_only else None

    @staticmethod
    def diffusion_share(released: Tensor, rows: Tensor, samples: int) -> Tensor:
        """Weight of L_diff at each place [samples, 1, h, w]: M̂ over its mean for the aligned `rows`, else 1.

        A map that releases less than a twentieth is not blown up to the weight of a whole picture.
        """
        share = torch.ones(samples, *released.shape[1:], device=released.device)
        share[rows] = released / released.mean(dim=(2, 3), keepdim=True).clamp(min=0.05)
        return share

    def aligned_rows(self, batch: Batch) -> Tensor:
        """Indices of the samples that the reference path is needed for; none where nothing uses it."""
        used = self.config.w_text or self.config.w_fine or self.released_only
        return self.aligned(batch).nonzero().flatten() if used else batch.index.new_zeros(0)

    def aligned(self, batch: Batch) -> Tensor:
        """Which samples alignment acts on, bool [B]: by timestep, and by whether the caption was dropped."""
        timely = batch.t >= self.config.align_t_min
        if self.config.align_t_max is not None:
            timely &= batch.t <= self.config.align_t_max
        return timely if self.config.align_uncond else timely & ~batch.dropped

    @torch.no_grad()
    def released_area(self, batch: Batch, x_t: Tensor, ref: Pass, res: Pass) -> Tensor:
        """The control map M̂ [B, 1, h, w] of two paths; `soft` and `released` keep it to be looked at."""
        output_ref = self.untold(batch, x_t, res.output) if self.config.soft_map == "text" else ref.output
        eps_ref, eps_res = (self.diffusion.epsilon(made, x_t, batch.t) for made in (output_ref, res.output))
        self.soft = sfcm.soft_map(eps_ref, eps_res, self.config.soft_scale)
        self.released = self.control_map(batch, self.soft, res.layers)
        return self.released

    def untold(self, batch: Batch, x_t: Tensor, output_res: Tensor) -> Tensor:
        """The response UNet's predictions [B, C, h, w] for the base text; without a caption, those it has given."""
        output, rows = output_res.detach().clone(), (~batch.dropped).nonzero().flatten()
        if len(rows):
            part, noisy = _take(batch, x_t, rows)
            text = variants.text_states(self.unet, part.base, part.target, torch.zeros_like(part.dropped))
            output[rows] = self.unet(noisy, part.t, text).sample
        return output

    def control_map(self, batch: Batch, soft: Tensor, res: Sequence[LayerQK]) -> Tensor:
        """M̂ [B, 1, h, w] from the soft map and the response path's attention; 0 for a dropped caption."""
        if not self.config.use_sfcm:
            return torch.zeros_like(soft)
        height, width = soft.shape[2:]
        tokens = phrase_tokens(batch.spans, batch.base.shape[1])
        phrases = sfcm.phrase_maps(res, tokens, (height, width), self.config.phrase_map)
        gamma = sfcm.relevance(batch.cosine, self.gamma_shift)
        released = sfcm.control_map(soft, phrases, gamma, self.config.rescale)
        return released * ~batch.dropped.view(-1, 1, 1, 1)

    def layer_losses(
        self, ref: Sequence[LayerQK], res: Sequence[LayerQK], positions: Tensor, released: Tensor
    ) -> tuple[Tensor, Tensor]:
        """L_text and L_fine of each sample [B], over text positions [B, L], outside M̂.

        A term of weight 0 is computed to be looked at, without gradient.
        """
        config, used = self.config, positions.any(dim=0).nonzero().flatten()
        counts = {layer.query.shape[2] for layer in ref}
        local = {count: sfcm.at_layer(released, count, config.layer_map) for count in counts}
        masks = [local[layer.query.shape[2]] for layer in ref]
        own, pairs = positions[:, used], list(zip(ref, res, masks, strict=True))
        with torch.set_grad_enabled(torch.is_grad_enabled() and config.w_text > 0):
            text = [self.text_loss(a.keys(used), b.keys(used), own, mask) for a, b, mask in pairs]
        with torch.set_grad_enabled(torch.is_grad_enabled() and config.w_fine > 0):
            fine = [losses.fine_grained_loss(a.query, b.query, mask, config.norm) for a, b, mask in pairs]
        return torch.stack(text).sum(dim=0), torch.stack(fine).sum(dim=0)

    def text_loss(self, ref: LayerQK, res: LayerQK, positions: Tensor, released: Tensor) -> Tensor:
        """One layer's L_text of each sample [B], over all keys given."""
        compare = losses.text_features if self.config.text_mask == "query" else losses.text_maps
        F_ref, F_res = (compare(layer.key, layer.query, released) for layer in (ref, res))
        return losses.text_consistent_loss(F_ref, F_res, positions, self.config.norm)

    def positions(self, batch: Batch) -> Tensor:
        """Text positions both paths share, bool [B, L]; all but the start token for a dropped caption."""
        shared = batch.base_positions
        if self.config.text_positions == "base+pad":
            shared = shared | batch.shared_padding
        after_start = torch.arange(shared.shape[1], device=shared.device) > 0
        return torch.where(batch.dropped[:, None], after_start, shared)


def _take(batch: Batch, x_t: Tensor, rows: Tensor) -> tuple[Batch, Tensor]:
    return (batch, x_t) if len(rows) == len(batch) else (batch.map(lambda tensor: tensor[rows]), x_t[rows])
