"""Stand-ins for networks: colours as features, so that every expected score can be worked out by hand."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spf_bench.metrics.base import Batch
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.features import Image, Outputs, pair
from spf_bench.metrics.segcons import Proposals
from spf_bench.triple import Category, Triple


class Colours:
    """An encoder whose only output is the mean colour [B, 3], 0 to 1; counts the images it was shown."""

    name, digest, compact, device = "colours", "c0ffee" * 10, True, torch.device("cpu")

    def __init__(self) -> None:
        self.shown = 0

    def encode(self, images: Image) -> Outputs:
        self.shown += len(images)
        return {"pooled": torch.from_numpy(images).float().mean(dim=(1, 2)) / 255}


class Letters(Colours):
    """Reads an image with a text: its first pixel's red and the text's length; counts the images it was shown."""

    name, compact = "letters", False

    def read(self, images: Image, texts: Sequence[str]) -> Outputs:
        self.shown += len(images)
        return {"score": torch.tensor([float(i[0, 0, 0]) + len(t) for i, t in zip(images, texts, strict=True)])}


class Given:
    """An encoder that knows its answers: one row per value of an image's first pixel."""

    compact, device = False, torch.device("cpu")

    def __init__(self, name: str = "given", **answers: Tensor) -> None:
        self.name, self.digest, self.answers = name, name, answers

    def encode(self, images: Image) -> Outputs:
        rows = torch.from_numpy(images[:, 0, 0, 0].astype(np.int64))
        return {key: value[rows] for key, value in self.answers.items()}


class ColourSegmenter:
    """Sees the red and the green plane as two regions; a point in one gets it, at all three sizes."""

    def __init__(self) -> None:
        self.encoder = Planes()

    def propose(self, seen: Outputs, points: Tensor) -> Proposals:
        planes = seen["planes"]
        height, width = planes.shape[1:]
        x, y = (points * torch.tensor([width, height])).long().unbind(-1)
        hit = planes[:, y, x]  # [2, K]
        masks = planes[hit.int().argmax(0)][:, None].expand(-1, 3, -1, -1)
        sure = hit.any(0).float()[:, None].expand(-1, 3)
        return Proposals(masks, sure, sure)


class Planes:
    """An encoder that gives the red and green planes of each image as masks [B, 2, H, W]."""

    name, digest, compact, device = "planes", "planes", False, torch.device("cpu")

    def encode(self, images: Image) -> Outputs:
        return {"planes": torch.from_numpy(images[..., :2] > 127).permute(0, 3, 1, 2)}


def triple(number: int, target: str = "with a beard", base: str = "a man, smiling") -> Triple:
    """A test case with an id that sorts by number."""
    category = list(Category)[number % len(Category)]
    return Triple(f"t{number:04}", base, target, category, number, tuple(base.split(", ")))


def picture(red: int = 0, size: int = 8) -> Image:
    """A plain image [size, size, 3] of one shade of red."""
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0] = red
    return image


def noise_pictures(n: int, size: int = 64, seed: int = 0) -> list[Image]:
    """Random images [size, size, 3]."""
    return list(np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def batch(
    original: Sequence[Image],
    custom: Sequence[Image],
    targets: Sequence[str] | None = None,
    store: FeatureStore | None = None,
) -> Batch:
    """A batch of these images with made-up test cases."""
    targets = targets or ["with a beard"] * len(original)
    return Batch([triple(i, t) for i, t in enumerate(targets)], *pair(original, custom, store))
