"""From scores per test case to the numbers of a table: every metric, over all cases and per category."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.scoring.one_pass import Scores, numbers
from spf_bench.stats import bootstrap, jackknife

ALL = "all"


@dataclass(frozen=True)
class Summary:
    """One number of one method, with what it rests on; plain JSON types."""

    column: str
    """Key of the metric, or one of its secondary columns."""
    category: str
    """The name of a category, or of a step of a sequence, or ``all``."""
    n: int
    """Test cases measured."""
    missing: int
    """Test cases that could not be measured."""
    value: float | None
    """None where nothing was measured."""
    low: float | None
    """Lower end of the 95 % interval; None where there is none."""
    high: float | None
    note: str | None = None
    """Why cases are missing, or why the value is to be read with care."""


def summarise(scores: Scores, metrics: Sequence[Metric | SetMetric]) -> list[Summary]:
    """Return every column over all test cases and per category, in the order of ``metrics``.

    A pure function of what a run stores, so a record can be recomputed from its files.
    """
    groups: dict[str, pd.DataFrame] = {ALL: scores.table}
    groups |= {str(name): rows for name, rows in scores.table.groupby("category")}
    return [line for category, rows in groups.items() for line in _group(category, rows, scores, metrics)]


def _group(
    category: str, rows: pd.DataFrame, scores: Scores, metrics: Sequence[Metric | SetMetric]
) -> Iterator[Summary]:
    origin = rows.get("origin")
    estimates = bootstrap(numbers(rows), clusters=origin)
    for metric in metrics:
        if isinstance(metric, SetMetric):
            kept = scores.table.index.isin(rows.index)
            yield _set(category, metric, {k: v[kept] for k, v in scores.features.items()}, origin)
            continue
        for column in (metric.key, *metric.secondary):
            estimate = estimates[column]
            missing = len(rows) - estimate.n
            reason = metric.nan_means.get(column, "the network gave no finite number")
            value, low, high = map(_plain, (estimate.value, estimate.low, estimate.high))
            note = reason if missing else None
            yield Summary(column, category, estimate.n, missing, value, low, high, note)


def _set(category: str, metric: SetMetric, features: Mapping[str, Tensor], origin: "pd.Series[str] | None") -> Summary:
    original, custom = features[f"{metric.key}.original"], features[f"{metric.key}.custom"]
    n = len(original)
    whole = metric.compare(original, custom)
    clusters = None if origin is None else origin.tolist()
    ends = jackknife(lambda rows: metric.compare(original[rows], custom[rows]).value, n, clusters=clusters)
    least, most = metric.bounds
    low, high = map(_plain, np.clip(ends, -np.inf if least is None else least, np.inf if most is None else most))
    value = _plain(whole.value)
    measured = 0 if value is None else n
    return Summary(metric.key, category, measured, n - measured, value, low, high, whole.note)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
