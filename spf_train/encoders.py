"""The four kinds of encodings that training needs: latents, prompts, and CLIP's embeddings of images and texts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from PIL import UnidentifiedImageError
from torch import Tensor

from spf_train.clip import FrozenClip
from spf_train.errors import ConfigError
from spf_train.identity import module_digest, tokenizer_digest
from spf_train.sample import Pixels, Sample
from spf_train.shards import Columns, key_of
from spf_train.store import Encoder, Unusable


class ImageEncoder(Encoder[Pixels]):
    """What the encoders of images share: N samples, their images as size x size pixels, keys of their contents."""

    def __init__(self, samples: Sequence[Sample], keys: Sequence[str], size: int) -> None:
        self.samples, self.size = samples, size
        self._keys = keys

    def __len__(self) -> int:
        return len(self.samples)

    def keys(self) -> Sequence[str]:
        """Those of the image files' contents."""
        return self._keys

    def load(self, number: int) -> Pixels:
        """An image, decoded and cropped. Raises Unusable if it is broken, ConfigError if it cannot be read.

        Memory that does not suffice says nothing about the image: MemoryError goes through.
        """
        try:
            return self.samples[number].pixels(self.size)
        except (MemoryError, Unusable):
            raise
        except UnidentifiedImageError as error:
            raise Unusable("this is no image, or of no known format") from error
        except OSError as error:
            if error.errno is None:  # Pillow's own, about the image
                raise Unusable(f"the image is broken: {error}") from error
            raise ConfigError("cannot read an image", str(error), "check the disk, then run the same again") from error
        except Exception as error:  # what decoders raise for damaged files is no closed list
            raise Unusable(f"the image is broken: {error}") from error


class LatentEncoder(ImageEncoder):
    """The VAE's scaled posterior of images: "mean" and "std" [B, C, h, w]."""

    name = "latents"

    def __init__(self, samples: Sequence[Sample], keys: Sequence[str], pipe: Any) -> None:
        super().__init__(samples, keys, image_size(pipe))
        self.vae = pipe.vae

    @functools.cached_property
    def digest(self) -> str:
        """Of the VAE and the size of the images."""
        return module_digest(self.vae, self._scale(), self.size)

    def _scale(self) -> tuple[float, float]:
        config = self.vae.config
        return config.get("shift_factor") or 0.0, config.scaling_factor

    @torch.no_grad()
    def compute(self, items: Sequence[Pixels]) -> Columns:
        """Mean and standard deviation as the UNet expects them, in the VAE's precision."""
        images = as_images(items, self.vae.device) * 2 - 1
        posterior = self.vae.encode(images.to(self.vae.dtype)).latent_dist
        shift, scale = self._scale()
        parts = {"mean": (posterior.mean - shift) * scale, "std": posterior.std * scale}
        return {name: part.cpu() for name, part in parts.items()}


class ClipImageEncoder(ImageEncoder):
    """CLIP's embeddings of images: "embeds" [B, E]."""

    name = "clip-images"

    def __init__(self, samples: Sequence[Sample], keys: Sequence[str], size: int, clip: FrozenClip) -> None:
        super().__init__(samples, keys, size)
        self.clip = clip

    @functools.cached_property
    def digest(self) -> str:
        """Of CLIP, its preprocessing and the size of the images."""
        return module_digest(self.clip.model, self.clip.preprocessing, self.size)

    @torch.no_grad()
    def compute(self, items: Sequence[Pixels]) -> Columns:
        """E_I of a batch."""
        return {"embeds": self.clip.embed_images(as_images(items, self.clip.model.device)).cpu()}


class TextEncoder(Encoder[str]):
    """What the encoders of texts share."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def keys(self) -> Sequence[str]:
        """The texts' own."""
        return [key_of(text) for text in self.texts]

    def load(self, number: int) -> str:
        """A text."""
        return self.texts[number]


class PromptEncoder(TextEncoder):
    """Embeddings of texts as the pipeline's own sampling makes them: "states" [B, L, D]."""

    name = "prompts"

    def __init__(self, texts: Sequence[str], pipe: Any) -> None:
        super().__init__(texts)
        self.pipe = pipe

    @functools.cached_property
    def digest(self) -> str:
        """Of text encoder and tokenizer."""
        return module_digest(self.pipe.text_encoder, tokenizer_digest(self.pipe.tokenizer))

    def compute(self, items: Sequence[str]) -> Columns:
        """The embeddings in the text encoder's precision."""
        return {"states": encode_texts(self.pipe, items)}


class ClipTextEncoder(TextEncoder):
    """CLIP's embeddings of texts: "embeds" [B, E]."""

    name = "clip-texts"
    batch = 256

    def __init__(self, texts: Sequence[str], clip: FrozenClip) -> None:
        super().__init__(texts)
        self.clip = clip

    @functools.cached_property
    def digest(self) -> str:
        """Of CLIP and its tokenizer."""
        return module_digest(self.clip.model, tokenizer_digest(self.clip.tokenizer))

    def compute(self, items: Sequence[str]) -> Columns:
        """E_T of a batch."""
        return {"embeds": self.clip.embed_texts(items).cpu()}


@torch.no_grad()
def encode_texts(pipe: Any, texts: Sequence[str]) -> Tensor:
    """Embeddings [N, L, D] of texts, as the pipeline's own sampling makes them, on the CPU."""
    embeddings: Tensor = pipe.encode_prompt(list(texts), pipe.text_encoder.device, 1, False)[0]
    return embeddings.cpu()


def image_size(pipe: Any) -> int:
    """Side in pixels of the images a pipeline was trained on."""
    return int(pipe.unet.config.sample_size * pipe.vae_scale_factor)


def as_images(pixels: Sequence[Pixels], device: torch.device) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] on the device."""
    stacked = torch.stack([torch.from_numpy(image.copy()) for image in pixels])
    return stacked.permute(0, 3, 1, 2).to(device).float() / 255
