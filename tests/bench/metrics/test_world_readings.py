"""Hit and kept, from readings set by hand."""

import pytest
import torch

from spf_bench.metrics.attributes import PREFIX, Reader
from spf_bench.metrics.hit_rate import HitRate
from spf_bench.metrics.kept import Kept
from spf_bench.world.portrait import ATTRIBUTES
from spf_bench.world.targets import TARGETS, unrelated
from tests.bench.metrics.stand_ins import Given, batch, picture

PLAIN = {field: values[0] for field, values in ATTRIBUTES.items()} | {"glasses": "none", "style": "none"}


def reader(*portraits: dict[str, str]) -> Reader:
    """A judge that reads ``portraits[n]`` from the picture of shade n."""
    logits = {
        PREFIX + field: torch.tensor([[float(p[field] == v) for v in values] for p in portraits])
        for field, values in ATTRIBUTES.items()
    }
    return Reader(Given(**logits))


def test_hit_needs_every_attribute_the_target_sets():
    overalls = TARGETS["overalls"]
    portraits = (PLAIN, PLAIN | overalls.sets, PLAIN | overalls.sets | {"clothes_color": "red"})
    metric = HitRate(reader(*portraits))
    current = batch([picture(0)] * 3, [picture(n) for n in range(3)], [overalls.phrase] * 3)
    assert metric.score(current)["hit_rate"].tolist() == [0, 100, 0]


def test_kept_counts_unrelated_changes_only():
    target = TARGETS["sunglasses"]
    fields = unrelated(target)
    changed = PLAIN | {"background": ATTRIBUTES["background"][1]}
    hit, hidden = PLAIN | target.sets, PLAIN | target.sets | {"eyes": ATTRIBUTES["eyes"][1]}
    metric = Kept(reader(PLAIN, changed, hit, hidden))
    assert "eyes" not in fields and "background" in fields
    current = batch([picture(0)] * 4, [picture(n) for n in range(4)], [target.phrase] * 4)
    expected = [100, 100 * (1 - 1 / len(fields)), 100, 100]
    assert metric.score(current)["kept"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("key", TARGETS)
def test_every_target_leaves_something_unrelated(key):
    assert len(unrelated(TARGETS[key])) >= 5
