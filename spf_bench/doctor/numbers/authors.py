"""Whose code the stored numbers come from: the authors' own packages, run on the stored pairs.

Where no package of the authors can be installed (Seg-Cons, MPS, ImageReward, the world's own readings) the stored
numbers are this project's, and say so.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from spf_bench.doctor.numbers.pairs import Pairs
from spf_bench.metrics.features import Image

OWN = "spf-bench's own code"


class Theirs(NamedTuple):
    """What somebody else's code gave."""

    column: str
    values: Sequence[float]
    """A number for each pair, or one of the whole set."""
    source: str


Author = Callable[[Pairs], list[Theirs]]


def of(*packages: str, what: str = "") -> str:
    """Return a source in words, with versions."""
    named = " and ".join(f"{name} {version(name).split('+')[0]}" for name in packages)
    return f"{named}, {what}" if what else named


def sides(pairs: Pairs) -> tuple[Image, Image]:
    """Return both sides of the pairs [N, H, W, 3] uint8."""
    return np.stack(pairs.originals), np.stack(pairs.customs)


def planes(images: Image) -> Tensor:
    """Return images as tensors [N, 3, H, W] uint8."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).contiguous()


def pictures(images: Image) -> list[PILImage.Image]:
    """Return images as Pillow has them."""
    return [PILImage.fromarray(image) for image in images]


def frechet(first: Tensor, second: Tensor) -> float:
    """Return torch-fidelity's Fréchet distance of two sets of features [N, D]."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    told = [fid_features_to_statistics(side.float()) for side in (first, second)]
    return float(fid_statistics_to_metric(*told, verbose=False)["frechet_inception_distance"])


def cosines(first: Tensor, second: Tensor) -> list[float]:
    """Return the cosines [N] of rows [N, D], as InsightFace computes a similarity."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    return [float(ArcFaceONNX.compute_sim(None, a.numpy(), b.numpy())) for a, b in zip(first, second, strict=True)]


def clip_embeddings(model: Any, processor: Any, images: Image, tokenizer: Any, texts: Sequence[str]) -> Any:
    """Return Hugging Face's own forward pass: unit vectors of images and texts [N, D]."""
    pixels = processor(pictures(images), return_tensors="pt")["pixel_values"]
    context = tokenizer.model_max_length
    read = tokenizer(list(texts), padding="max_length", max_length=context, truncation=True, return_tensors="pt")
    with torch.no_grad():
        out = model(pixel_values=pixels, input_ids=read["input_ids"])
    return out.image_embeds, out.text_embeds


def clip_columns(see: Callable[[Image, Sequence[str]], Any], pairs: Pairs, source: str) -> dict[str, Theirs]:
    """Return CLIP-I, CLIP-T and its companion from one forward pass for each."""
    originals, customs = sides(pairs)
    first, targets = see(originals, [t.target for t in pairs.triples])
    second, full = see(customs, [t.prompt for t in pairs.triples])

    def dots(a: Tensor, b: Tensor) -> list[float]:
        return (a * b).sum(-1).tolist()

    return {
        "image": Theirs("clip_i", dots(first, second), source),
        "target": Theirs("clip_t", dots(second, targets), source),
        "full": Theirs("clip_t_full", dots(second, full), source),
    }
