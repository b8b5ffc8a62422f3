"""Kept: is everything else as it was?

Source: this benchmark; the embedded world knows every attribute of a portrait. Weights: the world's
attribute judge (this repository's licence). Range: 0 to 100 %, higher is better; an image with itself has
100. Published tables have no such column.
"""

import torch
from torch import Tensor

from spf_bench.metrics.attributes import Reader
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.world.targets import all_unrelated, by_phrase


class Kept(Metric):
    """Share of the attributes unrelated to the targets that the judge reads alike from both images.

    The original is read too, not looked up: what counts is a change, not whether the original model
    followed its text.
    """

    key, title, group = "kept", "Kept %", Group.world
    higher_is_better, bounds, decimals = True, (0.0, 100.0), 1
    source = "spf-bench, docs/decisions.md"
    licence = "as this repository"
    comparable = "no: read from known attributes of the world"

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.encoders = (reader.encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return percentages [B]."""
        left = [all_unrelated(map(by_phrase, triple.targets)) for triple in batch.triples]
        rows = zip(self.reader.read(batch.original), self.reader.read(batch.custom), left, strict=True)
        shares = [share_kept(before, after, fields) for before, after, fields in rows]
        return {self.key: 100.0 * torch.tensor(shares, dtype=torch.float64)}


def share_kept(before: dict[str, str], after: dict[str, str], fields: tuple[str, ...]) -> float:
    """Return the share of ``fields`` with equal values, in [0, 1]."""
    return sum(before[field] == after[field] for field in fields) / len(fields)
