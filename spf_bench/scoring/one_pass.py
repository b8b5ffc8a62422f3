"""One pass over the images: each decoded once, each network run once per distinct image."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.memory import Halving
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.scoring.one_batch import Measured, Pair, joined, measure
from spf_bench.share import ALONE, Share

BATCH = 32
OFTEN = 60.0  # seconds: what a kill may cost


class Journal(Protocol):
    """Keeps what was measured of each batch, for whoever scores the same pairs again after a kill."""

    def known(self, pairs: "Sequence[Pair]") -> Measured | None:
        """Return what was measured of a batch; None where it was not."""

    def add(self, pairs: "Sequence[Pair]", measured: Measured) -> None:
        """Keep what was measured of a batch."""

    def save(self) -> None:
        """Write what was added."""


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
    halving: Halving | None = None,
    share: Share = ALONE,
) -> Scores:
    """Measure every pair with every metric.

    Args:
        pairs: In any order; the result is sorted by id.
        metrics: Per pair and per set.
        store: Features of originals kept from run to run.
        batch: Pairs per pass; changes no score beyond 1e-4.
        on_batch: Told the number of pairs done after each pass.
        journal: Batches measured before a kill, which are not measured again.
        halving: Computes in parts what does not fit the device.
        share: Processes that take turns in the batches, and read each other's from the journal.

    Raises:
        UserError: There are no pairs, an image cannot be read, or the images differ in size.
    """
    if not pairs:
        raise UserError("nothing to score", "the run has no images", "spf-bench run --method ...")

    def measured(part: Sequence[Pair]) -> Measured:
        fitting = (halving or Halving()).of("score", part, lambda some: measure(some, metrics, store))
        return joined(fitting)

    parts = batches(pairs, batch)
    found = _pass(share.of_processes(parts), measured, store, on_batch, journal)
    if share.world > 1:
        assert journal is not None  # processes tell each other through it
        share.wait()
        found = [known for part in parts if (known := journal.known(part)) is not None]
        share.wait()  # all have read before anybody clears it away
    return Scores(*joined(found))


def batches(pairs: Sequence[Pair], size: int) -> list[Sequence[Pair]]:
    """Cut pairs, sorted by id, into batches: the same ones whoever measures them."""
    ordered = sorted(pairs, key=lambda p: p.triple.id)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _pass(
    parts: Sequence[Sequence[Pair]],
    measured: Callable[[Sequence[Pair]], Measured],
    store: FeatureStore | None,
    on_batch: Callable[[int], None],
    journal: Journal | None,
) -> list[Measured]:
    """Measure what is not known yet of some batches; what was measured is kept, however it ends."""
    found: list[Measured] = []
    saved = time.monotonic()
    try:
        for part in parts:
            known = journal.known(part) if journal else None
            found.append(known or measured(part))
            if journal and known is None:
                journal.add(part, found[-1])
            on_batch(len(part))
            if time.monotonic() - saved > OFTEN:
                _save(store, journal)
                saved = time.monotonic()
    finally:
        _save(store, journal)
    return found


def _save(store: FeatureStore | None, journal: Journal | None) -> None:
    """Write both: no batch may be known whose features were lost, for the next method looks for them."""
    if store is not None:
        store.save()
    if journal is not None:
        journal.save()
