"""One pass over the images: each decoded once, each network run once per distinct image."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image as PILImage
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch, Metric, SetMetric
from spf_bench.metrics.features import Features, FeatureStore, Image, pair
from spf_bench.triple import Triple

BATCH = 32


@dataclass(frozen=True)
class Pair:
    """A test case with its two images."""

    triple: Triple
    original: Path
    custom: Path


@dataclass(frozen=True)
class Scores:
    """What the metrics measured of one method on one test set."""

    table: pd.DataFrame
    """One row per test case, indexed by ``id``: ``category``, and a column per score, NaN if not measured."""
    features: dict[str, Tensor]
    """For each set metric, ``<key>.original`` and ``<key>.custom`` [N, D], rows as in the table."""


def score(
    pairs: Sequence[Pair],
    metrics: Sequence[Metric | SetMetric],
    store: FeatureStore | None = None,
    batch: int = BATCH,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Scores:
    """Measure every pair with every metric.

    Args:
        pairs: In any order; the result is sorted by id.
        metrics: Per pair and per set.
        store: Features of originals kept from run to run.
        batch: Pairs per pass; changes no score beyond 1e-4.
        on_batch: Told the number of pairs done after each pass.

    Raises:
        UserError: There are no pairs, an image cannot be read, or the images differ in size.
    """
    if not pairs:
        raise UserError("nothing to score", "the run has no images", "spf-bench run --method ...")
    rows: list[pd.DataFrame] = []
    vectors: dict[str, list[Tensor]] = {}
    try:
        for part in _batches(sorted(pairs, key=lambda p: p.triple.id), batch):
            current = _load(part, store)
            with torch.inference_mode(), _exact():
                rows.append(_measure(current, [m for m in metrics if isinstance(m, Metric)]))
                for key, features in _collect(current, [m for m in metrics if isinstance(m, SetMetric)]):
                    vectors.setdefault(key, []).append(features)
                _keep(current.original, metrics, store)
            on_batch(len(part))
    finally:
        if store is not None:
            store.save()
    return Scores(pd.concat(rows), {key: torch.cat(parts) for key, parts in vectors.items()})


def read_rgb(path: Path) -> Image:
    """Read an image as RGB [H, W, 3] uint8; warns where it went through JPEG, which no score survives.

    Raises:
        UserError: The file is missing or is no image.
    """
    try:
        with PILImage.open(path) as file:
            if file.format == "JPEG":
                warnings.warn(f"{path} is a JPEG: its losses will be scored as changes", stacklevel=2)
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise UserError(f"cannot read {path}", str(error), "run the same command again to remake it") from error


def _exact() -> AbstractContextManager[None]:
    # TF32 convolutions would move scores by more than batches may.
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _batches(pairs: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


def _load(pairs: Sequence[Pair], store: FeatureStore | None) -> Batch:
    sides = ([read_rgb(p.original) for p in pairs], [read_rgb(p.custom) for p in pairs])
    original, custom = pair(*sides, store)
    return Batch([p.triple for p in pairs], original, custom)


def _measure(batch: Batch, metrics: Sequence[Metric]) -> pd.DataFrame:
    columns: dict[str, object] = {"category": [t.category.value for t in batch.triples]}
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
