"""Some pairs of images, each decoded once and seen once by every network: what all metrics say of them."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image as PILImage
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.files.pictures import lossy
from spf_bench.metrics.base import Batch, Metric, SetMetric
from spf_bench.metrics.compute import exact
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.features import Features, Image, pair
from spf_bench.triple import Triple

Measured = tuple[pd.DataFrame, dict[str, Tensor]]
"""Of one batch: a row per pair, and the vectors of the set metrics as ``one_pass.Scores`` has them."""


class Unreadable(UserError):
    """An image cannot be decoded."""


@dataclass(frozen=True)
class Pair:
    """A test case with its two images."""

    triple: Triple
    original: Path
    custom: Path


def measure(pairs: Sequence[Pair], metrics: Sequence[Metric | SetMetric], store: FeatureStore | None) -> Measured:
    """Measure pairs together, with every metric, and keep in ``store`` what the networks saw in the originals.

    Raises:
        UserError: An image cannot be read, or the images differ in size.
    """
    current = _load(pairs, store)
    with torch.inference_mode(), exact():
        rows = _measure(current, [m for m in metrics if isinstance(m, Metric)])
        vectors = dict(_collect(current, [m for m in metrics if isinstance(m, SetMetric)]))
        _keep(current.original, metrics, store)
    return rows, vectors


def joined(found: Sequence[Measured]) -> Measured:
    """Return several batches' rows and vectors as those of one."""
    if len(found) == 1:
        return found[0]
    rows, vectors = [rows for rows, _ in found], [vectors for _, vectors in found]
    return pd.concat(rows), {key: torch.cat([part[key] for part in vectors]) for key in vectors[0]}


def read_rgb(path: Path) -> Image:
    """Read an image as RGB [H, W, 3] uint8; warns where its format lost pixels, which no score survives.

    Raises:
        Unreadable: The file is missing or is no image.
    """
    try:
        with PILImage.open(path) as file:
            if kind := lossy(file, path):
                warnings.warn(f"{path} is a {kind}: its losses will be scored as changes", stacklevel=2)
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise Unreadable(f"cannot read {path}", str(error), "run the same command again to remake it") from error


def _load(pairs: Sequence[Pair], store: FeatureStore | None) -> Batch:
    images = {path: read_rgb(path) for path in dict.fromkeys(path for p in pairs for path in (p.original, p.custom))}
    original, custom = pair([images[p.original] for p in pairs], [images[p.custom] for p in pairs], store)
    return Batch([p.triple for p in pairs], original, custom)


def _measure(batch: Batch, metrics: Sequence[Metric]) -> pd.DataFrame:
    columns: dict[str, object] = {"category": [t.part or None for t in batch.triples]}
    if any(t.origin != t.id for t in batch.triples):
        columns["origin"] = [t.origin for t in batch.triples]
    for metric in metrics:
        for column, values in metric.score(batch).items():
            known = values.double().cpu()
            columns[column] = known.where(known.isfinite(), torch.nan).numpy()
    return pd.DataFrame(columns, index=pd.Index([t.id for t in batch.triples], name="id"))


def _collect(batch: Batch, metrics: Sequence[SetMetric]) -> Iterator[tuple[str, Tensor]]:
    for metric in metrics:
        for name, side in (("original", batch.original), ("custom", batch.custom)):
            yield f"{metric.key}.{name}", metric.features(side).float().cpu().contiguous()


def _keep(original: Features, metrics: Sequence[Metric | SetMetric], store: FeatureStore | None) -> None:
    if store is not None:
        for encoder in {e.name: e for metric in metrics for e in metric.encoders}.values():
            store.add(encoder, original)
