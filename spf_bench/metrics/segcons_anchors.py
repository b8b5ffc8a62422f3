"""The two ends between which a Seg-Cons may be read.

No image of a method can be expected above the ceiling, the original after JPEG, nor a useful one below the floor,
another seed of the same text: what a segmenter calls consistent about two pictures with nothing in common but
their words.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from spf_bench.memory import Halving
from spf_bench.metrics.base import Batch, Metric
from spf_bench.metrics.compute import exact
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.features import Features, Image, pair
from spf_bench.triple import Triple

QUALITY = 90


@dataclass(frozen=True)
class Anchors:
    """Mean scores of images that no method made."""

    floor: float | None
    """Original against another seed of the same text; None where none was made."""
    ceiling: float | None
    """Original against itself after JPEG of quality 90; None where no pair could be measured."""
    n: int
    """Originals behind each."""


def anchors(
    metric: Metric,
    triples: Sequence[Triple],
    originals: Sequence[Image],
    others: Sequence[Image] | None = None,
    store: FeatureStore | None = None,
    halving: Halving | None = None,
) -> Anchors:
    """Measure the anchors of a pairwise metric on some originals.

    Args:
        metric: Its headline is measured.
        triples: One per original.
        originals: RGB [H, W, 3] uint8.
        others: For each original the same text under another seed; None leaves the floor out.
        store: Features of originals that are known.
        halving: Computes in parts what does not fit the device.
    """

    def mean(others: Sequence[Image]) -> float | None:
        def values(rows: Sequence[int]) -> Tensor:
            sides = pair([originals[i] for i in rows], [others[i] for i in rows], store)
            return _values(metric, [triples[i] for i in rows], sides)

        found = (halving or Halving()).joined("anchors", range(len(originals)), values)
        known = found[found.isfinite()]
        return float(known.mean()) if len(known) else None

    low = None if others is None else mean(others)
    return Anchors(low, mean([after_jpeg(image) for image in originals]), len(originals))


def after_jpeg(image: Image, quality: int = QUALITY) -> Image:
    """Return an RGB image [H, W, 3] uint8 as it is after a JPEG file of that quality."""
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(PILImage.open(buffer).convert("RGB"))


@torch.inference_mode()
def _values(metric: Metric, triples: Sequence[Triple], sides: tuple[Features, Features]) -> Tensor:
    with exact():
        return metric.score(Batch(triples, *sides))[metric.key].double()
