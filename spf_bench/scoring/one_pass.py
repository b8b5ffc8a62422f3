"""One pass over the images: each decoded once, each network run once per distinct image."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
OFTEN = 60.0  # seconds: what a kill may cost

Measured = tuple[pd.DataFrame, dict[str, Tensor]]
"""Of one batch: a row per pair, and the vectors of the set metrics as ``Scores`` has them."""


class Unreadable(UserError):
    """An image cannot be decoded."""


class Journal(Protocol):
    """Keeps what was measured of each batch, for whoever scores the same pairs again after a kill."""

    def known(self, pairs: "Sequence[Pair]") -> Measured | None:
        """Return what was measured of a batch; None where it was not."""

    def add(self, pairs: "Sequence[Pair]", measured: Measured) -> None:
        """Keep what was measured of a batch."""

    def save(self) -> None:
        """Write what was added."""


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
    """One row per test case, indexed by ``id``: ``category`` (of a sequence: the step; None where
    nobody said), a column per score, NaN if not measured, and ``origin`` where several rows share base text and noise:
    the triple they come from."""
    features: dict[str, Tensor]
    """For each set metric, ``<key>.original`` and ``<key>.custom`` [N, D], rows as in the table."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ``Scores.table`` without what the rows are."""
    return table.drop(columns=["category", "origin"], errors="ignore")


def score(
    pairs: Sequence[Pair],
    metrics: Sequence[Metric | SetMetric],
    store: FeatureStore | None = None,
    batch: int = BATCH,
    on_batch: Callable[[int], None] = lambda done: None,
    journal: Journal | None = None,
) -> Scores:
    """Measure every pair with every metric.

    Args:
        pairs: In any order; the result is sorted by id.
        metrics: Per pair and per set.
        store: Features of originals kept from run to run.
        batch: Pairs per pass; changes no score beyond 1e-4.
        on_batch: Told the number of pairs done after each pass.
        journal: Batches measured before a kill, which are not measured again.

    Raises:
        UserError: There are no pairs, an image cannot be read, or the images differ in size.
    """
    if not pairs:
        raise UserError("nothing to score", "the run has no images", "spf-bench run --method ...")
    found: list[Measured] = []
    saved = time.monotonic()
    try:
        for part in _batches(sorted(pairs, key=lambda p: p.triple.id), batch):
            known = journal.known(part) if journal else None
            found.append(known or _batch(part, metrics, store))
            if journal and known is None:
                journal.add(part, found[-1])
            on_batch(len(part))
            if time.monotonic() - saved > OFTEN:
                _save(store, journal)
                saved = time.monotonic()
    finally:
        _save(store, journal)
    rows, vectors = [rows for rows, _ in found], [vectors for _, vectors in found]
    return Scores(pd.concat(rows), {key: torch.cat([part[key] for part in vectors]) for key in vectors[0]})


def _batch(pairs: Sequence[Pair], metrics: Sequence[Metric | SetMetric], store: FeatureStore | None) -> Measured:
    current = _load(pairs, store)
    with torch.inference_mode(), _exact():
        rows = _measure(current, [m for m in metrics if isinstance(m, Metric)])
        vectors = dict(_collect(current, [m for m in metrics if isinstance(m, SetMetric)]))
        _keep(current.original, metrics, store)
    return rows, vectors


def _save(store: FeatureStore | None, journal: Journal | None) -> None:
    """Write both: no batch may be known whose features were lost, for the next method looks for them."""
    if store is not None:
        store.save()
    if journal is not None:
        journal.save()


def read_rgb(path: Path) -> Image:
    """Read an image as RGB [H, W, 3] uint8; warns where it went through JPEG, which no score survives.

    Raises:
        Unreadable: The file is missing or is no image.
    """
    try:
        with PILImage.open(path) as file:
            if file.format == "JPEG":
                warnings.warn(f"{path} is a JPEG: its losses will be scored as changes", stacklevel=2)
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise Unreadable(f"cannot read {path}", str(error), "run the same command again to remake it") from error


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
