"""Metrics over the stored pairs, with prints of what their networks were given and what they saw."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from spf_bench.doctor.numbers.prints import Print, entering, fingerprint
from spf_bench.metrics.base import Batch, Metric, SetMetric
from spf_bench.metrics.features import Encoder

AnyMetric = Metric | SetMetric
Values = dict[str, list[float | None]]
"""By column: a number for each pair, or one of the whole set; None where it could not be measured."""


@dataclass(frozen=True)
class Sight:
    """What one network did with the pairs."""

    weights: str
    """SHA-256 of its weights; empty where they are made up."""
    pixels: Print | None = None
    """Of the images as they entered it; None where it is no torch network."""
    tokens: list[int] = field(default_factory=list)
    """Ids of the first pair's texts, without padding; none where it reads nothing."""
    outputs: dict[str, Print] = field(default_factory=dict)
    """Of what came out, by name."""


def measured(metric: AnyMetric, batch: Batch) -> Values:
    """Return every column of a metric over the pairs."""
    with torch.inference_mode():
        if isinstance(metric, SetMetric):
            sides = [metric.features(side).float().cpu() for side in (batch.original, batch.custom)]
            return {metric.key: [_plain(metric.compare(*sides).value)]}
        return {key: [_plain(v) for v in column.double().tolist()] for key, column in metric.score(batch).items()}


def sight(encoder: Encoder, batch: Batch, weights: bool) -> Sight:
    """Return what a network does with the customised portraits and the texts of the pairs.

    Args:
        encoder: The network.
        batch: What it has not looked at yet.
        weights: Whether its digest stands for shipped weights.
    """
    with torch.inference_mode(), entering() as given:
        batch.original.of(encoder)  # the print of what enters is of both sides
        seen = dict(batch.custom.of(encoder))
    if hasattr(encoder, "texts"):
        seen["texts"] = encoder.texts(batch.prompts)
    pixels = fingerprint(torch.cat(given)) if given else None
    told = {name: fingerprint(value) for name, value in sorted(seen.items())}
    return Sight(encoder.digest if weights else "", pixels, _tokens(encoder, batch.prompts[:2]), told)


def _tokens(encoder: Any, texts: Sequence[str]) -> list[int]:
    """Return the ids of some texts as the network's own tokenizer gives them, each up to its end."""
    if hasattr(encoder, "tokenizer"):
        return [i for ids in encoder.tokenizer(list(texts), truncation=True)["input_ids"] for i in ids]
    if hasattr(encoder, "tokenize"):
        return [i for ids in encoder.tokenize(list(texts)).tolist() for i in ids if i]
    return []


def _plain(value: float) -> float | None:
    return float(f"{value:.10g}") if value == value and abs(value) != float("inf") else None
