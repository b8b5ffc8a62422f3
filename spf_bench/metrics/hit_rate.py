"""Hit: has the target come?

Source: this benchmark; the embedded world knows every attribute of a portrait. Weights: the world's
attribute judge (this repository's licence). Range: 0 to 100 %, higher is better. Published tables have no
such column.
"""

import torch
from torch import Tensor

from spf_bench.metrics.attributes import Reader
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.world.targets import by_phrase


class HitRate(Metric):
    """100 where the judge reads every attribute the target sets from the customised image, else 0.

    Of several targets all must have come.
    """

    key, title, group = "hit_rate", "Hit %", Group.world
    higher_is_better, bounds, decimals = True, (0.0, 100.0), 1
    source = "spf-bench, docs/decisions.md"
    licence = "as this repository"
    comparable = "no: read from known attributes of the world"
    of_target = True

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.encoders = (reader.encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return 0 or 100 for each pair [B]."""
        readings = self.reader.read(batch.custom)
        wanted = [[by_phrase(target).sets for target in triple.targets] for triple in batch.triples]
        hits = [
            all(reading[field] == value for sets in told for field, value in sets.items())
            for reading, told in zip(readings, wanted, strict=True)
        ]
        return {self.key: 100.0 * torch.tensor(hits, dtype=torch.float64)}
