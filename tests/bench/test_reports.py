"""The records that come with the repository stand beside runs of today, and its tables can be printed from them."""

import json
from pathlib import Path

import pytest

from baselines.experiment import Experiment
from baselines.records import same_run
from baselines.sweep import plan
from baselines.variants import ABLATIONS, LAMBDAS
from spf_bench.scoring.fingerprint import fingerprint
from spf_bench.suite import get_suite
from spf_bench.table.model import Entry, collect

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="module")
def shipped() -> list[Entry]:
    return collect(REPORTS / "leaderboard", REPORTS / "ablations")


def test_their_scores_mean_what_scores_mean_today(shipped: list[Entry]) -> None:
    today = fingerprint(get_suite("world"))
    old = [entry.record.run for entry in shipped if entry.record.scoring != today]
    assert not old, "spf-bench rescore, where their images lie"
    assert not [entry.record.run for entry in shipped if entry.record.dirty is not False]


@pytest.mark.parametrize("number", ABLATIONS)
def test_every_variant_of_every_seed_is_among_them(shipped: list[Entry], number: str, tmp_path: Path) -> None:
    experiment = Experiment.of("world", None, None, "default", "cpu", None, None, tmp_path)
    asked = [
        experiment.run("spf", variant.changes, seed) for variant in ABLATIONS[number].variants for seed in range(3)
    ]
    asked += [experiment.run(name) for name in ("original", "prompt_only")]
    assert [run.command for run in asked if same_run(run, shipped) is None] == []


def test_the_sweep_is_of_them(shipped: list[Entry], tmp_path: Path) -> None:
    told = json.loads((REPORTS / "sweep" / "sweep.json").read_text())["scores"]
    experiment = Experiment.of("world", None, None, "default", "cpu", None, None, tmp_path)
    for sweep in plan(experiment, list(LAMBDAS), factors=(0, 0.25, 1, 4)):
        for variant in sweep.variants.values():
            entry = same_run(experiment.run("spf", variant.changes), shipped)
            assert entry is not None, variant.name
            assert {key: score.mean for key, score in entry.record.scores["all"].items()} == {
                key: score["mean"] for key, score in told[variant.name].items()
            }
