"""Grids of samples from fixed seeds: what a UNet makes of the base text and of the complete text, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from spf_train.adapter import has_adapter, with_target
from spf_train.checkpoint import write_atomically
from spf_train.config import LogConfig
from spf_train.sample import Sample
from spf_train.text import complete_text

PROMPTS = 4
MARGIN = 4  # pixels between two pictures
Prompt = tuple[str, str]


class Validation:
    """Samples prompts the same way every time: same noise, DDIM, same guidance.

    All texts are encoded here, so that the text encoder can be freed. Nothing here touches the random state.

    pipe: the pipeline that trains; its VAE, scheduler and text encoder are used.
    prompts: (base, target) texts; picture i starts from the noise of seed i.
    log: steps and guidance of the sampler, and how often a run draws a grid.
    """

    def __init__(self, pipe: Any, prompts: Sequence[Prompt], log: LogConfig) -> None:
        self.prompts, self.log = list(prompts), log
        self.vae, self.tokenizer, self.device = pipe.vae, pipe.tokenizer, pipe.device
        self.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        side = pipe.unet.config.sample_size
        self.shape = (1, pipe.unet.config.in_channels, side, side)
        self.empty = _encode(pipe, [""])
        self.base = _encode(pipe, [base for base, _ in self.prompts])
        self.target = _encode(pipe, [target for _, target in self.prompts])
        self.complete = _encode(pipe, [complete_text(*prompt) for prompt in self.prompts])

    def due(self, step: int, total: int) -> bool:
        """Whether a run draws a grid after `step` of `total` steps; before the first and after the last it does."""
        every = self.log.validate_every
        return every is not None and (step % every == 0 or step == total)

    def draw(self, unet: Any, folder: Path, step: int) -> Path:
        """Writes folder/step-NNNNNN.png: a row for each prompt, base text left, complete text right.

        A picture that is there already is left as it is.
        """
        path = folder / f"step-{step:06}.png"
        if not path.is_file():
            save_grid(path, [self.portraits(unet, self.base), self.portraits(unet, self.complete, self.target)])
        return path

    @torch.no_grad()
    def portraits(self, unet: Any, text: Tensor, target: Tensor | None = None) -> list[Image.Image]:
        """One image for each text.

        text: states [N, L, D], of one row or as many as there are prompts.
        target: states [N, L, D] of the target texts, which only a UNet with an adapter reads.
        """
        empty = self.empty
        if has_adapter(unet):
            text, empty = with_target(text, target), with_target(empty)
        pipe = StableDiffusionPipeline(
            vae=self.vae,
            text_encoder=None,  # type: ignore[arg-type]
            tokenizer=self.tokenizer,
            unet=unet,
            scheduler=self.scheduler,
            safety_checker=None,  # type: ignore[arg-type]
            feature_extractor=None,  # type: ignore[arg-type]
            requires_safety_checker=False,
        )
        pipe.set_progress_bar_config(disable=True)
        with _evaluating(unet):
            return [self._portrait(pipe, states[None], empty, seed) for seed, states in enumerate(text)]

    def _portrait(self, pipe: Any, text: Tensor, empty: Tensor, seed: int) -> Image.Image:
        noise = torch.randn(self.shape, generator=torch.Generator().manual_seed(seed))
        image: Image.Image = pipe(
            prompt_embeds=text,
            negative_prompt_embeds=empty,
            latents=noise.to(self.device),
            num_inference_steps=self.log.validation_steps,
            guidance_scale=self.log.validation_guidance,
        ).images[0]
        return image


def choose_prompts(log: LogConfig, samples: Iterable[Sample]) -> list[Prompt]:
    """The prompts that `log` names, or else the first four distinct ones of the samples."""
    distinct = dict.fromkeys(itertools.islice(((sample.base, sample.target) for sample in samples), 64))
    return list(log.validation_prompts or itertools.islice(distinct, PROMPTS))


def save_grid(path: Path, columns: Sequence[Sequence[Image.Image]]) -> None:
    """Writes columns of equally large images as one PNG."""
    width, height = columns[0][0].size
    size = (len(columns) * (width + MARGIN) - MARGIN, len(columns[0]) * (height + MARGIN) - MARGIN)
    grid = Image.new("RGB", size, "white")
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            grid.paste(image, (x * (width + MARGIN), y * (height + MARGIN)))
    write_atomically(path, lambda new: grid.save(new, format="PNG"))


@contextmanager
def _evaluating(unet: Any) -> Iterator[None]:
    """Switches dropout off for a while."""
    training = unet.training
    unet.eval()
    try:
        yield
    finally:
        unet.train(training)


def _encode(pipe: Any, texts: Sequence[str]) -> Tensor:
    """Text states [N, L, D] in fp32, on the device; whatever does not fit the context is cut."""
    with torch.no_grad():
        states: Tensor = pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]
    return states.float()
