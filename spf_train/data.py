"""Samples as tensors, made once before training, and the batches drawn from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from spf_train.sample import BadSample, Sample
from spf_train.shards import Rows
from spf_train.text_table import TextTable

__all__ = ["BadSample", "Batch", "Prepared", "Sample"]


@dataclass(frozen=True)
class Batch:
    """What one step trains on: B samples with their noise.

    index: which samples [B].
    x0: clean latents [B, C, h, w], drawn from the VAE's posterior and scaled.
    eps: noise ε [B, C, h, w].
    t: timesteps [B].
    dropped: whose captions are replaced by the empty one, bool [B].
    complete, base: text embeddings of the two paths [B, L, D]; the empty text's where dropped.
    target: the same of the target text alone; empty ([B, 0, 0]) where nothing asks for it.
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
    target: Tensor
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
    texts: embeddings of all texts; complete, base, target: each sample's rows in it [N]; no target: [0].
    problems: the samples left out, and why.
    The other fields are those of Batch, for all samples.
    """

    latent_mean: Rows
    latent_std: Rows
    texts: TextTable
    complete: Tensor
    base: Tensor
    target: Tensor
    base_positions: Tensor
    shared_padding: Tensor
    spans: Tensor
    cosine: Tensor
    image_embeds: Rows
    target_embeds: Rows
    problems: tuple[BadSample, ...] = ()

    def __len__(self) -> int:
        return len(self.latent_mean)

    @property
    def mean_cosine(self) -> float:
        """Mean phrase-target similarity: what unrelated texts score in this CLIP; 0 without CLIP."""
        real = self.spans[..., 1] > self.spans[..., 0]
        return float(self.cosine[real].mean()) if self.cosine.numel() and real.any() else 0.0

    def batch(
        self,
        index: Tensor,
        generator: torch.Generator,
        timesteps: int,
        dropout: float = 0.0,
        part: slice = slice(None),
    ) -> Batch:
        """Samples `index` [B]; noise, timesteps below `timesteps` and dropped captions from `generator`.

        part: the samples of the batch that are wanted; each has the noise it has in the whole batch.
        """
        size, index = len(index), index[part]
        mean = self.latent_mean[index]
        posterior, eps = (torch.randn((size, *mean.shape[1:]), generator=generator)[part] for _ in range(2))
        t = torch.randint(timesteps, (size,), generator=generator)[part]
        dropped = (torch.rand(size, generator=generator) < dropout)[part]

        def states(rows: Tensor) -> Tensor:
            return self.texts[rows[index].masked_fill(dropped, self.texts.rows[""])]

        return Batch(
            index=index,
            x0=mean + self.latent_std[index] * posterior,
            eps=eps,
            t=t,
            dropped=dropped,
            complete=states(self.complete),
            base=states(self.base),
            target=states(self.target) if len(self.target) else eps.new_empty(len(index), 0, 0),
            base_positions=self.base_positions[index],
            shared_padding=self.shared_padding[index],
            spans=self.spans[index],
            cosine=self.cosine[index],
            image_embeds=self.image_embeds[index],
            target_embeds=self.target_embeds[index],
        )
