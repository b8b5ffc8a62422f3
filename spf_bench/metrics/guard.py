"""Keeps a mistake in one plug-in from stopping a run: what it fails to measure is missing, with the reason."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch, Facts, Metric, SetMetric, SetScore
from spf_bench.metrics.features import Features
from spf_bench.plugins import reason


def guarded(metric: Metric | SetMetric) -> Metric | SetMetric:
    """Return a metric that measures as ``metric`` does and never raises."""
    return GuardedSet(metric) if isinstance(metric, SetMetric) else Guarded(metric)


def fitting(scores: Mapping[str, Tensor], metric: Metric, n: int) -> dict[str, Tensor]:
    """Return the scores of a batch of ``n``; raises UserError where they are not the columns [n] it has declared."""
    declared, found = [metric.key, *metric.secondary], list(scores)
    if sorted(found) != sorted(declared):
        raise UserError("it wrote other columns than it declares", f"{found}, declared {declared}", "return these")
    shapes = {key: list(values.shape) for key, values in scores.items() if values.shape != (n,)}
    if shapes:
        raise UserError("it did not return one score a pair", f"{shapes}", f"return [{n}] for {n} pairs")
    return dict(scores)


class Guarded(Metric):
    """A score per pair; a batch that cannot be measured is NaN."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        _copy_facts(self, metric, "secondary", "nan_means")

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the scores [B] by column."""
        n, columns = len(batch.triples), (self.metric.key, *self.metric.secondary)
        try:
            return fitting(self.metric.score(batch), self.metric, n)
        except Exception as error:
            vars(self)["nan_means"] = dict.fromkeys(columns, _failed(error))
            return {column: torch.full((n,), torch.nan) for column in columns}


class GuardedSet(SetMetric):
    """A score per pair of sets; NaN from the first batch on whose features cannot be had."""

    def __init__(self, metric: SetMetric) -> None:
        self.metric = metric
        self.width, self.why = 1, ""
        _copy_facts(self, metric)

    def features(self, images: Features) -> Tensor:
        """Return the features [B, D]."""
        if not self.why:
            try:
                found = self.metric.features(images)
                if found.ndim != 2 or len(found) != len(images):
                    raise UserError("it did not return one vector an image", str(list(found.shape)))
                self.width = found.shape[1]
                return found
            except Exception as error:
                self.why = _failed(error)
        return torch.full((len(images), self.width), torch.nan)

    def compare(self, original: Tensor, custom: Tensor) -> SetScore:
        """Return the value, or NaN with the reason."""
        if self.why:
            return SetScore(float("nan"), self.why)
        try:
            return self.metric.compare(original, custom)
        except Exception as error:
            return SetScore(float("nan"), _failed(error))


def _copy_facts(guard: Any, metric: Facts, *more: str) -> None:
    vars(guard).update({fact: getattr(metric, fact) for fact in (*Facts.__annotations__, *more)})


def _failed(error: Exception) -> str:
    return f"the plug-in failed: {reason(error)}"
