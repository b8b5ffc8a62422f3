"""Is paired sampling faster than a plain StableDiffusionPipeline loop at the same settings, with equal images?

    python -m benchmarks.generation [--triples 32] [--batch 32] [--repeats 3] [--device cuda]

Without a GPU the portrait world's model at 64 px, 15 steps; with one Stable Diffusion 1.5's architecture with random
weights at 512 px, 25 steps in bf16, its compiled UNet beside it. The plain loop hands the pipeline one text after
another and the same noise; the pipeline in batches stands between the two.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import Case, Found, alternate, options, ratio, tell
from spf_bench.environment import quiet
from spf_bench.models.backbone import SCHEDULERS, Backbone
from spf_bench.run.generate import batches, noise
from spf_bench.suite import Sampling, get_suite
from spf_bench.testset import load
from spf_bench.triple import Triple

LOOP, BATCHED, OURS, COMPILED = "pipeline, one by one", "pipeline, in batches", "ours", "ours, UNet compiled"
APART = 2
"""Levels of 255 by which pixels may differ, in float32: batches round otherwise."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, compare the images, print, write."""
    quiet()
    parser = options(__doc__)
    parser.add_argument("--triples", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args(arguments)
    backbone = sd15(asked.device) if asked.device.startswith("cuda") else world()
    if asked.quick:
        asked.triples, asked.batch, asked.repeats = 3, 2, 1
        backbone.sampling = replace(backbone.sampling, steps=1)
    tell(__doc__, asked, measure(backbone, asked), asked.device)


def measure(backbone: Backbone, asked: argparse.Namespace) -> Found:
    """Images per second of each way; raises AssertionError where their images differ."""
    triples, made = load("world-v1").triples[: asked.triples], dict[str, Tensor]()
    ways: dict[str, Callable[[], Tensor]] = {
        LOOP: lambda: plain(backbone, triples, 1),
        BATCHED: lambda: plain(backbone, triples, asked.batch),
        OURS: lambda: ours(backbone, triples, asked.batch),
    }
    if asked.device.startswith("cuda"):
        compiled = torch.compile(backbone.unet)
        ways[COMPILED] = lambda: ours(backbone, triples, asked.batch, compiled)

    def make(name: str) -> None:
        made[name] = ways[name]()

    cases: dict[str, Case] = {name: partial(make, name) for name in ways}
    spent = alternate(cases, asked.repeats, 0 if asked.quick else 1, asked.device)
    apart = {name: int((images.int() - made[LOOP].int()).abs().max()) for name, images in made.items()}
    exact = backbone.dtype == torch.float32
    assert not exact or max(apart.values()) <= APART, apart
    seconds = {name: timing.seconds(asked.device) for name, timing in spent.items()}
    rows = [(n, f"{len(triples) / s:.3f}", ratio(seconds[LOOP], s), str(apart[n])) for n, s in seconds.items()]
    figures = {
        "seconds": {name: timing.facts() for name, timing in spent.items()},
        "images_per_second": {name: round(len(triples) / s, 4) for name, s in seconds.items()},
        "ratio": {name: round(seconds[LOOP] / s, 3) for name, s in seconds.items()},
        "levels_apart": apart,
    }
    clock = "" if asked.device.startswith("cuda") else "seconds are the processor's; "
    note = f"{clock}{backbone.sampling.steps} steps at {backbone.image_size} px, {backbone.sampling.dtype}"
    return Found(("", "images/s", "ratio", "levels apart, of 255"), rows, figures, (note,))


def plain(backbone: Backbone, triples: Sequence[Triple], batch: int) -> Tensor:
    """What the pipeline's own call makes [N, H, W, 3] uint8, so many texts at a time."""
    sampling, images = backbone.sampling, []
    backbone.pipe.scheduler = SCHEDULERS[sampling.scheduler](backbone.pipe.scheduler.config)
    for part in batches(triples, batch):
        drawn = backbone.pipe(
            [triple.prompt for triple in part],
            negative_prompt=[sampling.negative_prompt] * len(part),
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            latents=noise(backbone, part).to(backbone.device, backbone.dtype),
            output_type="np",
        ).images
        images.append(torch.from_numpy((drawn * 255).round()).to(torch.uint8))
    return torch.cat(images)


def ours(backbone: Backbone, triples: Sequence[Triple], batch: int, unet: Any = None) -> Tensor:
    """What a run that has just begun makes [N, H, W, 3] uint8: no text has been encoded yet."""
    fresh, before = Backbone(backbone.pipe, backbone.sampling, backbone.device), backbone.pipe.unet
    fresh.pipe.unet = before if unet is None else unet
    images = [
        fresh.render(fresh.encode([triple.prompt for triple in part]), noise(fresh, part))
        for part in batches(triples, batch)
    ]
    fresh.pipe.unet = before
    return torch.cat(images)


def world() -> Backbone:
    """The portrait world's model."""
    suite = get_suite("world")
    backbone = Backbone.from_folder(suite.pipeline, suite.sampling)
    backbone.pipe.set_progress_bar_config(disable=True)
    return backbone


def sd15(device: str) -> Backbone:
    """Stable Diffusion 1.5's networks with random weights, in bf16."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from spf_train.single_file import SD15, load_tokenizer

    torch.manual_seed(0)
    networks: dict[str, Any] = {
        "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SD15 / "unet")),
        "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(SD15 / "vae")),
        "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(SD15 / "text_encoder")),
        "tokenizer": load_tokenizer(),
        "scheduler": DDIMScheduler.from_pretrained(SD15 / "scheduler"),
    }
    pipe = StableDiffusionPipeline(
        **networks, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return Backbone(pipe, Sampling("dpmsolver++2m", 25, 7.0, dtype="bfloat16"), device)


if __name__ == "__main__":
    main()
