"""Encodes samples once before training: latents, text embeddings, phrases, CLIP embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spf_train.clip import FrozenClip
from spf_train.data import Prepared, Sample
from spf_train.errors import ConfigError
from spf_train.text import Positions, Prompts, check_fit, complete_text, phrase_spans, position_masks
from spf_train.text_table import TextTable

ENCODE_BATCH = 32


def prepare(samples: Sequence[Sample], pipe: Any, clip: FrozenClip | None = None) -> Prepared:
    """Encodes images and texts of all samples once, with the pipeline's frozen VAE and text encoder.

    pipe: a StableDiffusionPipeline.
    clip: needed by stage 2 for relevance and response enhancement.
    Raises ConfigError if there are no samples, or a complete text does not fit the context.
    """
    if not samples:
        raise ConfigError("cannot train", "there are no samples", "pass at least one sample")
    prompts = Prompts(pipe.tokenizer)
    bases = [sample.base for sample in samples]
    completes = [complete_text(sample.base, sample.target) for sample in samples]
    check_fit(prompts, completes)
    texts = TextTable(["", *bases, *completes], lambda part: encode_texts(pipe, part))
    positions = [prompts.positions(sample.base, sample.target) for sample in samples]
    base_positions, shared_padding = position_masks(positions, prompts.context)
    mean, std, image_embeds = encode_images(samples, pipe, clip)
    cosine, target_embeds = encode_relevance(samples, positions, clip)
    return Prepared(
        latent_mean=mean,
        latent_std=std,
        texts=texts,
        complete=texts.index(completes),
        base=texts.index(bases),
        base_positions=base_positions,
        shared_padding=shared_padding,
        spans=phrase_spans(positions),
        cosine=cosine,
        image_embeds=image_embeds,
        target_embeds=target_embeds,
    )


@torch.no_grad()
def encode_texts(pipe: Any, texts: Sequence[str]) -> Tensor:
    """Embeddings [N, L, D] of texts, as the pipeline's own sampling makes them."""
    embeddings: Tensor = pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]
    return embeddings.float().cpu()


def image_size(pipe: Any) -> int:
    """Side in pixels of the images a pipeline was trained on."""
    return int(pipe.unet.config.sample_size * pipe.vae_scale_factor)


@torch.no_grad()
def encode_images(samples: Sequence[Sample], pipe: Any, clip: FrozenClip | None) -> tuple[Tensor, ...]:
    """Scaled posterior mean and std [N, C, h, w], and E_I(x0) [N, E] (E = 0 without CLIP)."""
    config, parts = pipe.vae.config, []
    size, shift = image_size(pipe), config.get("shift_factor") or 0.0
    for start in range(0, len(samples), ENCODE_BATCH):
        pixels = [torch.from_numpy(s.pixels(size).copy()) for s in samples[start : start + ENCODE_BATCH]]
        images = torch.stack(pixels).permute(0, 3, 1, 2).to(pipe.device).float() / 255
        posterior = pipe.vae.encode(images * 2 - 1).latent_dist
        mean, std = (posterior.mean - shift) * config.scaling_factor, posterior.std * config.scaling_factor
        embeds = images.new_empty(len(images), 0) if clip is None else clip.embed_images(images)
        parts.append((mean.float().cpu(), std.float().cpu(), embeds.cpu()))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def encode_relevance(
    samples: Sequence[Sample], positions: Sequence[Positions], clip: FrozenClip | None
) -> tuple[Tensor, Tensor]:
    """Phrase-target cosines [N, P] (1 for a missing phrase) and E_T(y_tar) [N, E]; empty without CLIP."""
    if clip is None:
        return torch.empty(len(samples), 0), torch.empty(len(samples), 0)
    targets = [sample.target for sample in samples]
    texts = list(dict.fromkeys([*targets, *(p.text for item in positions for p in item.phrases)]))
    embeds = dict(zip(texts, clip.embed_texts(texts).cpu(), strict=True))
    cosine = torch.ones(len(samples), max(1, *(len(item.phrases) for item in positions)))
    for row, (target, item) in enumerate(zip(targets, positions, strict=True)):
        for column, phrase in enumerate(item.phrases):
            cosine[row, column] = embeds[phrase.text] @ embeds[target]
    return cosine, torch.stack([embeds[target] for target in targets])
