"""The stored pairs: portraits of the embedded world before and after a change, with their texts.

Two strips of PNG, originals above, customised portraits below: eight pairs of 64 px as the world's judges see them, and
three of 256 px, whose edges tell one way of resizing from another.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from spf_bench.files.store import write_json, write_png
from spf_bench.metrics.base import Batch
from spf_bench.metrics.features import Image, pair
from spf_bench.triple import Category, Triple

HERE = Path(__file__).parent
TEXTS = HERE / "pairs.json"
SMALL, LARGE = 64, 256


@dataclass(frozen=True)
class Pairs:
    """Some pairs of one size."""

    triples: Sequence[Triple]
    originals: Sequence[Image]
    """RGB [H, W, 3] uint8."""
    customs: Sequence[Image]
    """RGB [H, W, 3] uint8; the first is its original, the last another person."""

    def batch(self) -> Batch:
        """Return them as a metric takes them, nothing of them looked at yet."""
        return Batch(self.triples, *pair(self.originals, self.customs))


def load(size: int) -> Pairs:
    """Read the pairs of one size, ``SMALL`` or ``LARGE``."""
    strip = np.asarray(PILImage.open(_path(size)).convert("RGB"))
    n = strip.shape[1] // size
    rows = [[strip[row : row + size, i * size : (i + 1) * size] for i in range(n)] for row in (0, size)]
    told = json.loads(TEXTS.read_text(encoding="utf-8"))[-n:]
    triples = [Triple(**{**t, "category": Category(t["category"]), "phrases": tuple(t["phrases"])}) for t in told]
    return Pairs(triples, *rows)


def make() -> None:
    """Draw the pairs and write them; the same on every machine with the same renderer."""
    from spf_bench.world.distributions import base
    from spf_bench.world.portrait import Portrait, phrases, render
    from spf_bench.world.targets import TARGETS

    people = [sample.portrait for sample in base(41, seed=6)]
    befores, afters = list[Portrait](), list[Portrait]()
    triples: list[Triple] = []
    for number in range(8):
        before = people[number]
        known = [target for target in TARGETS.values() if target.fits(before)]
        target = known[number * 5 % len(known)]
        after = {0: before, 7: people[40]}.get(number, target.apply(before))
        told = phrases(before)
        made = Triple(f"pair-{number}", ", ".join(told), target.phrase, target.category, number, told)
        befores, afters, triples = [*befores, before], [*afters, after], [*triples, made]
    for size, first in ((SMALL, 0), (LARGE, 5)):
        rows = [np.concatenate([render(p, size) for p in row[first:]], axis=1) for row in (befores, afters)]
        write_png(_path(size), np.concatenate(rows))
    write_json(TEXTS, [_plain(triple) for triple in triples])


def _plain(triple: Triple) -> dict[str, object]:
    return {key: value for key, value in asdict(triple).items() if key not in ("original", "sha256")}


def _path(size: int) -> Path:
    return HERE / f"pairs-{size}.png"
