"""Every metric of the world keeps its contract; metrics that break it are told how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.conformance import conform
from spf_bench.conformance.check import Outcome, Result
from spf_bench.errors import UserError
from spf_bench.metrics import for_suite
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.suite import WorldSuite
from tests.conformance.conftest import broken

Examine = Callable[..., dict[str, Result]]

WORLD = ["fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps", "hit_rate", "kept"]
HEAD = (
    "import torch\n"
    "from spf_bench.metrics.base import Group, Metric, SetMetric, SetScore\n"
    "from spf_bench.metrics.pixel import PixelEncoder\n"
    "class Facts:\n"
    "    key, title, group = 'x', 'X', Group.preservation\n"
    "    higher_is_better, bounds, decimals = False, (0.0, 255.0), 1\n"
    "    source, licence, comparable = 'tests', 'none', 'no'\n"
    "    encoders = (PixelEncoder(),)\n"
    "    def of(self, side):\n"
    "        return side.of(self.encoders[0])['rgb'].double().flatten(1)\n"
)
X = HEAD + "class X(Facts, Metric):\n    def score(self, batch):\n"
GOOD = "        return {'x': (self.of(batch.original) - self.of(batch.custom)).abs().mean(1)}\n"
FACT = X + GOOD
SET = HEAD + "class X(Facts, SetMetric):\n    def features(self, images):\n"
NOTHING = "    def compare(self, a, b):\n        return SetScore(0.0)\n"

BREAKS = {
    "declared": {
        FACT + "    bounds = (1.0, 0.0)\n": "bounds",
        FACT + "    nan_means = {'y': 'no face'}\n": "nan_means names y",
        FACT + "    encoders = (PixelEncoder(), PixelEncoder())\n": "two of its networks",
    },
    "columns": {
        X + "        return {'y': torch.zeros(len(batch.triples))}\n": "declared ['x']",
        X + "        return {'x': torch.zeros(())}\n": "one score a pair",
        X + "        return {'x': self.of(batch.nobody)}\n": "AttributeError",
        SET
        + "        return torch.zeros(3)\n    def compare(self, a, b):\n        return SetScore(0.0)\n": "returned [3]",
    },
    "deterministic": {X + "        return {'x': torch.rand(len(batch.triples))}\n": "at first and then"},
    "batch": {X + "        return {'x': torch.full((len(batch.triples),), float(len(batch.triples)))}\n": "one by one"},
    "order": {X + "        return {'x': torch.arange(float(len(batch.triples)))}\n": "in reverse order"},
    "bounds": {FACT + "    bounds = (0.0, 1.0)\n": "not within (0.0, 1.0)"},
    "direction": {FACT + "    higher_is_better = True\n": "an image with itself has [0,"},
    "few images": {
        SET + "        return self.of(images)[:, :3]\n    def compare(self, a, b):\n"
        "        return SetScore(a.var().item() / 0.0 if len(a) > 1 else float('nan'))\n": "without a reason"
    },
}


@pytest.mark.parametrize("key", WORLD)
def test_it_keeps_the_contract(world_metrics: list[Metric | SetMetric], tmp_path: Path, key: str) -> None:
    results = list(conform(key, WorldSuite(), tmp_path).results)
    assert len(results) == 8 and not [result for result in results if result.outcome is Outcome.failed], results


def test_these_are_all_metrics_of_the_world(world_metrics: list[Metric | SetMetric]) -> None:
    assert [metric.key for metric in for_suite("world")] == WORLD


@pytest.mark.parametrize(
    ("promise", "code", "why"), [(p, code, why) for p, codes in BREAKS.items() for code, why in codes.items()]
)
def test_a_broken_promise_is_named_with_its_reason(results: Examine, promise: str, code: str, why: str) -> None:
    found = results(code, until=promise)
    assert promise in broken(found), found
    assert why in found[promise].detail and found[promise].fix


def test_a_whole_metric_in_a_file_passes(results: Examine) -> None:
    found = results(FACT)
    assert not broken(found) and found["few images"].outcome is Outcome.skipped, found


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (HEAD.replace("comparable", "other") + "class X(Facts, Metric):\n    pass\n", "comparable, score()"),
        (FACT + "    group = 'preservation'\n", "its group is 'preservation'"),
    ],
)
def test_what_is_no_whole_metric_is_refused(results: Examine, code: str, why: str) -> None:
    with pytest.raises(UserError) as caught:
        results(code)
    assert why in str(caught.value)


def test_settings_and_unknown_names_are_refused(results: Examine) -> None:
    with pytest.raises(UserError, match="has no settings"):
        results("clip_t", "rank=3")
    with pytest.raises(UserError, match="did you mean 'clip_t'"):
        results("clip_tt")
    with pytest.raises(UserError, match="does not measure lpips"):
        results("lpips")
