"""Does L_enh pull the same way when predictions are decoded at CLIP's size as when they are decoded in full?

    python -m benchmarks.enhance_decode [--pixels 256] [--samples 16] [--repeats 3]

The portrait world's networks and portraits, four times as large as its CLIP looks at, as 512 px is more than twice what
ViT-L/14 looks at. For a few timesteps: the cosine between the gradients of both losses, by prediction (mean over
samples, and its standard deviation) and by all cross-attention weights, and what the shorter way saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks.measure import MIB, Found, alternate, options, ratio, tell
from benchmarks.training_parts import saved_bytes
from spf_bench.environment import quiet
from spf_bench.suite import get_suite
from spf_bench.world import distributions
from spf_bench.world.portrait import render
from spf_train.config import SPFConfig, StageConfig, TrainConfig
from spf_train.data import Batch, Sample
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.train import load_pipeline, load_stage2

TIMESTEPS = (100, 300, 500, 700, 900)
WAYS = ("full", "clip-size")


class Pull(NamedTuple):
    """The gradient of L_enh by predictions [B, C * h * w] and by all trained weights [P]."""

    predictions: Tensor
    weights: Tensor


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    quiet()
    parser = options(__doc__)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    times: Sequence[int] = TIMESTEPS
    if asked.quick:
        asked.pixels, asked.samples, asked.repeats, times = 128, 2, 1, TIMESTEPS[:1]
    torch.set_num_threads(1)
    tell(__doc__, asked, measure(asked.pixels, asked.samples, asked.repeats, times))


def measure(pixels: int, count: int, repeats: int, times: Sequence[int]) -> Found:
    """Agreement by timestep; seconds and what autograd saves of a decode, CLIP and their backward pass either way."""
    stage, batch = world(pixels, count)
    vae, clip = stage.enhancement.vae, stage.enhancement.clip
    losses = {way: ResponseEnhancement(vae, clip, SPFConfig(enhance_decode=way)) for way in WAYS}  # type: ignore[arg-type]
    rows, agreement = [], []
    for t in times:
        full, short = (pull(stage, losses[way], replace(batch, t=torch.full_like(batch.t, t))) for way in WAYS)
        each = cosine_similarity(full.predictions, short.predictions)
        total = cosine_similarity(full.weights, short.weights, dim=0).item()
        spread = each.std(correction=0).item()
        agreement.append({"t": t, "predictions": each.mean().item(), "spread": spread, "weights": total})
        rows.append((str(t), f"{each.mean():.3f} ±{spread:.3f}", f"{total:.3f}"))
    alone: dict[str, Callable[[], object]] = {way: partial(one_way, losses[way], batch) for way in WAYS}
    seconds = {way: timing.seconds() for way, timing in alternate(alone, repeats).items()}
    saved = {way: kept(alone[way]) for way in WAYS}
    note = ", ".join(f"{way}: {seconds[way]:.2f} s and {saved[way] / MIB:.0f} MiB saved" for way in WAYS)
    faster = f"L_enh and its gradient by {count} predictions of {pixels} px, {note}: {ratio(*seconds.values())} as fast"
    figures = {"agreement": agreement, "seconds": seconds, "saved": saved}
    return Found(("timestep", "cosine by prediction", "by weights"), rows, figures, (faster,))


def world(pixels: int, count: int) -> tuple[DualPathStage, Batch]:
    """Stage 2 from the world's own model, and `count` training portraits with their latents at `pixels`."""
    suite = get_suite("world")
    drawn = [one for one in distributions.custom(2 * count, 0) if one.target][:count]
    samples = [Sample(render(one.portrait), ", ".join(one.phrases), one.target.phrase) for one in drawn if one.target]
    config = TrainConfig(stage2=StageConfig(steps=1, trainable="cross_attention"))
    stage, prepared = load_stage2(suite.pipeline, suite.clip, None, samples, config)
    batch = prepared.batch(torch.arange(len(samples)), torch.Generator().manual_seed(0), stage.diffusion.timesteps)
    images = np.stack([render(one.portrait, pixels) for one in drawn])
    vae = load_pipeline(suite.pipeline, "cpu").vae  # the stage has freed its encoder
    with torch.no_grad():
        x0 = vae.encode(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).latent_dist.mean
    x0 = x0 * vae.config.scaling_factor
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    return stage, replace(batch, x0=x0, eps=eps, dropped=torch.zeros_like(batch.dropped))


def pull(stage: DualPathStage, enhancement: ResponseEnhancement, batch: Batch) -> Pull:
    """The gradients of one way's L_enh."""
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    predicted = stage.diffusion.x0(stage.predict(batch, x_t), x_t, batch.t)
    own, *weights = torch.autograd.grad(enhancement.loss(batch, predicted), [predicted, *stage.trainable().values()])
    return Pull(own.flatten(1), torch.cat([weight.flatten() for weight in weights]))


def one_way(enhancement: ResponseEnhancement, batch: Batch) -> None:
    """L_enh of the clean latents, forward and backward."""
    enhancement.loss(batch, batch.x0.clone().requires_grad_(True)).backward()


def kept(case: Callable[[], object]) -> int:
    """Bytes that autograd saves in a case."""
    with saved_bytes() as saved:
        case()
    return sum(saved.values())


if __name__ == "__main__":
    main()
