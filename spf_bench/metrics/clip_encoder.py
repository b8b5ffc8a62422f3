"""CLIP as the metrics use it: images and texts as unit vectors in one space.

Source: Radford et al., arXiv:2103.00020. Works with any Hugging Face CLIP folder; its image size, mean,
deviation and text context come from the folder's own files.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor
from torch.nn.functional import normalize
from transformers import CLIPModel, CLIPTokenizerFast

from spf_bench.files.store import folder_sha256
from spf_bench.metrics.features import Encoder, Image, Outputs


class TextImageEncoder(Encoder, Protocol):
    """A network that puts images and texts into one space: its output ``image`` is [B, D], unit vectors."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> unit vectors [B, D]."""


@dataclass(frozen=True)
class Preprocess:
    """CLIP's preparation of images: bicubic to ``size`` at the shorter side, centre crop, normalise."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read the image processor's settings beside a CLIP, whether sides are numbers, as OpenAI's, or named."""
        facts = json.loads((folder / "preprocessor_config.json").read_text())
        size = _side(facts["crop_size"] if "crop_size" in facts else facts["size"])
        return cls(size, tuple(facts["image_mean"]), tuple(facts["image_std"]))

    def __call__(self, images: Image) -> Tensor:
        """Turn RGB images [B, H, W, 3] uint8 into pixels [B, 3, size, size] float32."""
        # PIL, not tensors: without antialiasing a resized tensor's pixels differ by up to .7.
        fitted = np.stack([self._fit(image) for image in images])
        pixels = torch.from_numpy(fitted).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pixels - mean) / std

    def _fit(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if (height, width) == (self.size, self.size):
            return image
        short = min(height, width)
        resized = (self.size * width // short, self.size * height // short)
        left, top = (resized[0] - self.size) // 2, (resized[1] - self.size) // 2
        scaled = PILImage.fromarray(image).resize(resized, PILImage.Resampling.BICUBIC)
        return np.asarray(scaled.crop((left, top, left + self.size, top + self.size)))


CLIP_224 = Preprocess(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""What OpenAI's models and those of OpenCLIP with the same statistics were trained with."""


class ClipEncoder:
    """A CLIP that looks at images and reads texts; unit vectors.

    What it makes of a text depends, in the last bit, on those read with it: on nothing that it was asked before.

    Args:
        name: Unique among the encoders of a suite.
        model: In evaluation mode; its device is where everything is computed.
        tokenizer: Of the model; its maximal length is the context.
        preprocess: Of the model.
        digest: SHA-256 of the weights.
    """

    compact = True

    def __init__(
        self, name: str, model: CLIPModel, tokenizer: CLIPTokenizerFast, preprocess: Preprocess, digest: str = ""
    ) -> None:
        self.name, self.digest = name, digest
        self.model, self.tokenizer, self.preprocess = model.eval(), tokenizer, preprocess
        self.device = model.device

    @classmethod
    def from_pretrained(
        cls, name: str, folder: Path, device: str, digest: str | None = None, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load a Hugging Face CLIP folder with tokenizer and image processor; computes in ``dtype``."""
        model = CLIPModel.from_pretrained(folder, dtype=dtype)
        model.to(device)  # type: ignore[arg-type]  # transformers hides the signature of Module.to
        tokenizer = CLIPTokenizerFast.from_pretrained(folder)
        return cls(name, model, tokenizer, Preprocess.from_pretrained(folder), digest or folder_sha256(folder))

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``image`` [B, D], unit vectors."""
        pixels = self.preprocess(images).to(self.device, self.model.dtype)
        seen = self.model.vision_model(pixel_values=pixels)
        return {"image": normalize(self.model.visual_projection(seen.pooler_output).float(), dim=-1)}

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> unit vectors [B, D]."""
        distinct = list(dict.fromkeys(texts))
        read = self.model.text_model(input_ids=tokenize(self.tokenizer, distinct).to(self.device))
        vectors = normalize(self.model.text_projection(read.pooler_output).float(), dim=-1)
        return vectors[[distinct.index(text) for text in texts]]


def tokenize(tokenizer: CLIPTokenizerFast, texts: Sequence[str]) -> Tensor:
    """Token ids [B, context] of texts, padded; a longer text is cut before its end token, with a warning."""
    context = tokenizer.model_max_length
    warn_cut(texts, [len(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"]], context)
    ids = tokenizer(list(texts), padding="max_length", max_length=context, truncation=True, return_tensors="pt")
    return ids["input_ids"]


def warn_cut(texts: Sequence[str], lengths: Sequence[int], context: int) -> None:
    """Warn of texts with more tokens, counted with their marks, than a scorer reads."""
    long = [text for text, length in zip(texts, lengths, strict=True) if length > context]
    if long:
        warnings.warn(f"{len(long)} texts exceed the {context} tokens a scorer reads, e.g. {long[0]!r}", stacklevel=3)


def _side(size: int | dict[str, int]) -> int:
    return size if isinstance(size, int) else size["shortest_edge" if "shortest_edge" in size else "height"]
