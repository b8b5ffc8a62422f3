"""Attributes read from images by the world's judge."""

from dataclasses import dataclass

from spf_bench.metrics.features import Encoder, Features
from spf_bench.world.portrait import ATTRIBUTES

PREFIX = "attribute."


@dataclass(frozen=True)
class Reader:
    """Reads portraits through a network whose outputs ``attribute.<field>`` are logits [B, values]."""

    encoder: Encoder

    def read(self, images: Features) -> list[dict[str, str]]:
        """Return for each image the likeliest value of every attribute."""
        seen = self.encoder
        outputs = images.of(seen)
        best = {field: outputs[PREFIX + field].argmax(-1).tolist() for field in ATTRIBUTES}
        return [{field: ATTRIBUTES[field][best[field][i]] for field in ATTRIBUTES} for i in range(len(images))]
