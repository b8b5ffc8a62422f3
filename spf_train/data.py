"""Samples, and the tensors made of them once, before training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from spf_train.text_table import TextTable

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """A customisation portrait: an image that shows the target attribute, and its two texts.

    image: uint8 [H, W, 3], or the path of an image file.
    base: base text y_base, phrases separated by commas.
    target: target text y_tar.
    """

    image: Pixels | Path
    base: str
    target: str

    def pixels(self, size: int) -> Pixels:
        """The image as uint8 [size, size, 3]: shortest edge resized, centre cropped."""
        given = self.image
        if isinstance(given, np.ndarray) and given.shape == (size, size, 3):
            return given
        image = Image.fromarray(given) if isinstance(given, np.ndarray) else Image.open(given)
        scale = size / min(image.size)
        width, height = (max(size, round(edge * scale)) for edge in image.size)
        resized = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        left, top = (width - size) // 2, (height - size) // 2
        return np.asarray(resized.crop((left, top, left + size, top + size)))


@dataclass(frozen=True)
class Batch:
    """What one step trains on: B samples with their noise.

    index: which samples [B].
    x0: clean latents [B, C, h, w], drawn from the VAE's posterior and scaled.
    eps: noise ε [B, C, h, w].
    t: timesteps [B].
    dropped: whose captions are replaced by the empty one, bool [B].
    complete, base: text embeddings of the two paths [B, L, D]; the empty text's where dropped.
    base_positions, shared_padding: bool [B, L], of the prompts as written.
    spans: token positions of the base text's phrases [B, P, 2].
    cosine: CLIP similarity of each phrase to the target [B, P]; 1 in place of a missing phrase.
    image_embeds, target_embeds: CLIP's E_I(x0) and E_T(y_tar) [B, E].
    The last three are empty ([B, 0]) without CLIP.
    """

    index: Tensor
    x0: Tensor
    eps: Tensor
    t: Tensor
    dropped: Tensor
    complete: Tensor
    base: Tensor
    base_positions: Tensor
    shared_padding: Tensor
    spans: Tensor
    cosine: Tensor
    image_embeds: Tensor
    target_embeds: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same batch with every tensor changed."""
        fields = {field.name: change(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return Batch(**fields)

    def split(self, size: int | None) -> Iterator[Batch]:
        """Parts of at most `size` samples; the whole batch for None."""
        size = size or len(self)
        for start in range(0, len(self), size):
            yield self.map(lambda tensor, start=start: tensor[start : start + size])  # type: ignore[misc]


@dataclass(frozen=True)
class Prepared:
    """Samples as tensors on the CPU, N of them; `batch` makes a training batch of some.

    latent_mean, latent_std: the VAE's posterior [N, C, h, w], scaled as the UNet expects.
    texts: embeddings of all texts; complete, base: each sample's rows in it [N].
    The other fields are those of Batch, for all samples.
    """

    latent_mean: Tensor
    latent_std: Tensor
    texts: TextTable
    complete: Tensor
    base: Tensor
    base_positions: Tensor
    shared_padding: Tensor
    spans: Tensor
    cosine: Tensor
    image_embeds: Tensor
    target_embeds: Tensor

    def __len__(self) -> int:
        return len(self.latent_mean)

    @property
    def mean_cosine(self) -> float:
        """Mean phrase-target similarity: what unrelated texts score in this CLIP."""
        real = self.spans[..., 1] > self.spans[..., 0]
        return float(self.cosine[real].mean()) if real.any() else 0.0

    def batch(self, index: Tensor, generator: torch.Generator, timesteps: int, dropout: float = 0.0) -> Batch:
        """Samples `index` [B]; noise, timesteps below `timesteps` and dropped captions from `generator`."""
        shape = (len(index), *self.latent_mean.shape[1:])
        posterior, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        t = torch.randint(timesteps, (len(index),), generator=generator)
        dropped = torch.rand(len(index), generator=generator) < dropout
        empty = self.texts.rows[""]
        return Batch(
            index=index,
            x0=self.latent_mean[index] + self.latent_std[index] * posterior,
            eps=eps,
            t=t,
            dropped=dropped,
            complete=self.texts[self.complete[index].masked_fill(dropped, empty)],
            base=self.texts[self.base[index].masked_fill(dropped, empty)],
            base_positions=self.base_positions[index],
            shared_padding=self.shared_padding[index],
            spans=self.spans[index],
            cosine=self.cosine[index],
            image_embeds=self.image_embeds[index],
            target_embeds=self.target_embeds[index],
        )
