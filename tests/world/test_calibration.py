"""The ladders of the calibration are exact, and a judge that does not follow them is named."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from spf_bench.metrics import for_suite
from spf_bench.world.assets import WEIGHTS
from spf_bench.world.calibration import LADDERS_OF, Follow, calibrate
from spf_bench.world.calibration import ladders as made
from spf_bench.world.calibration.card import blind, failures, table, table_of
from spf_bench.world.calibration.follow import spearman
from spf_bench.world.calibration.ladders import LADDERS, cases
from spf_bench.world.portrait import ATTRIBUTES
from spf_bench.world.targets import unrelated

DOCS = Path(__file__).parents[2] / "docs"
GOOD = Follow("lpips", "blur", 0.9, 0.8, 0.95, 0.9, 100, 0)


@pytest.fixture(scope="module")
def drawn():
    """A few portraits with targets that fit."""
    return cases(6)


def test_cases_are_the_same_each_time_and_fit(drawn):
    assert cases(6) == drawn and cases(3) == drawn[:3]
    assert all(case.target.fits(case.plain) and case.triple.target == case.target.phrase for case in drawn)
    assert len({case.target.category for case in drawn}) >= 3


def test_as_many_unrelated_attributes_are_wrong_as_the_truth_says(drawn, monkeypatch):
    shown = []
    monkeypatch.setattr(made, "drawing", lambda portrait: shown.append(portrait) or np.zeros((2, 2, 3), np.uint8))
    for case in drawn:
        shown.clear()
        truths = [rung.truth for rung in made.wrong_attributes(case, random.Random(0), drawn)]
        wrong = [[n for n in ATTRIBUTES if getattr(p, n) != getattr(case.ideal, n)] for p in shown]
        assert [len(names) for names in wrong] == [-truth for truth in truths]
        assert truths[0] == 0 and len(truths) >= 5
        assert set(wrong[-1]) <= set(unrelated(case.target)) - {"subject"}


@pytest.mark.parametrize("name", LADDERS)
def test_every_ladder_has_its_ideal_end(name, drawn):
    case = drawn[0]
    rungs = list(LADDERS[name](case, random.Random(1), drawn))
    best = max(rungs, key=lambda rung: rung.truth)
    assert np.array_equal(best.image, made.drawing(case.ideal))
    assert len({rung.image.tobytes() for rung in rungs}) == len(rungs) >= 3


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 80).astype(float), rng.normal(size=80)
    assert spearman(a, a + b) == pytest.approx(spearmanr(a, a + b).statistic)
    assert spearman(a, np.ones(80)) == 0.0


def test_judges_that_do_not_move_are_named():
    weak, chance = replace(GOOD, ladder="noise", rho=0.2), replace(GOOD, column="id", ladder="wrong person", low=-0.1)
    unclaimed = replace(GOOD, ladder="target", rho=-0.9, low=-1.0)
    found = [GOOD, weak, chance, unclaimed]
    assert failures(found) == [weak, chance] and blind(found) == ["id"]
    assert "**0.20 (0.90)** !" in table(found) and "| -0.90 (0.90) |" in table(found)


def test_every_metric_of_the_world_climbs_and_the_truth_itself_passes(monkeypatch):
    monkeypatch.setattr("spf_bench.world.calibration.follow.LADDERS", {"wrong attributes": made.wrong_attributes})
    found = {one.column: one for one in calibrate(for_suite("world"), n=2)}
    assert set(LADDERS_OF) <= set(found)
    assert found["kept"].within > 0.9 and found["kept"].n == 12


def test_every_claim_is_about_a_ladder_there_is():
    assert {ladder for told in LADDERS_OF.values() for ladder in told} <= set(LADDERS)


def test_card_and_page_show_the_shipped_calibration():
    assert table_of() in (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert table_of() in (DOCS / "calibration.md").read_text(encoding="utf-8")
