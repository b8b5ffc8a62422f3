"""The records that come with the repository stand beside runs of today, and its tables can be printed from them."""

from pathlib import Path

import pytest

from baselines.experiment import Experiment
from baselines.records import same_run
from baselines.variants import ABLATIONS
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
