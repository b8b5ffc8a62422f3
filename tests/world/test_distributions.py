"""The distributions are what their table says, seeded, and apart from the test sets."""

from collections import Counter

import pytest

from spf_bench.triple import Category
from spf_bench.world import distributions
from spf_bench.world.distributions import CUSTOM_BACKGROUNDS
from spf_bench.world.pool import statements
from spf_bench.world.targets import TARGETS, by_phrase, unreadable, unrelated


@pytest.mark.parametrize("draw", [distributions.base, distributions.custom, distributions.judge])
def test_seeded_and_growing_by_appending(draw):
    assert draw(60, 3) == draw(60, 3)
    assert draw(60, 3)[:20] == draw(20, 3)
    assert draw(20, 3) != draw(20, 4)


def test_at_least_16_targets_in_five_categories():
    assert len(TARGETS) >= 16
    assert {target.category for target in TARGETS.values()} == set(Category)
    assert all(by_phrase(target.phrase) is target for target in TARGETS.values())


def test_targets_are_rare_in_base_and_everywhere_in_custom():
    base, custom = distributions.base(2000, 0), distributions.custom(500, 0)
    carried = Counter(sample.target.key for sample in base if sample.target)
    assert set(carried) == set(TARGETS)
    assert 0.15 < sum(carried.values()) / len(base) < 0.25
    assert all(sample.target for sample in custom)


def test_custom_differs_from_base_in_more_than_the_target():
    base, custom = distributions.base(1000, 0), distributions.custom(1000, 0)

    def share(samples, test):
        return sum(test(sample.portrait) for sample in samples) / len(samples)

    assert share(custom, lambda p: p.background in CUSTOM_BACKGROUNDS) > 0.8
    assert share(base, lambda p: p.background in CUSTOM_BACKGROUNDS) < 0.06
    assert share(custom, lambda p: p.framing == "close") > 0.8
    assert share(base, lambda p: p.framing == "close") < 0.12
    assert share(custom, lambda p: p.expression == "smiling") > 0.8
    # The captions of the fine-tuning set leave about half of what surrounds the person unsaid.
    told = sum("background" in sample.caption for sample in custom) / len(custom)
    assert 0.4 < told < 0.6


def test_no_training_portrait_shares_a_text_with_a_held_out_one():
    tests = {s.caption for s in distributions.held_out(300, 0)} | {
        ", ".join(s.phrases) for s in distributions.held_out(300, 0)
    }
    validation = {s.caption for s in distributions.held_out(300, 0, part="validation")}
    assert not tests & validation
    for draw in (distributions.base, distributions.judge):
        for sample in draw(4000, 0):
            assert sample.caption not in tests
            assert ", ".join(sample.phrases) not in tests


def test_base_texts_never_name_what_the_target_contradicts():
    for sample in distributions.held_out(200, 1):
        named = {name for phrase, values in statements(sample) if phrase in sample.phrases for name in values}
        assert not named & sample.target.contradicts
        assert sample.target.phrase not in sample.phrases


def test_unrelated_leaves_out_what_the_target_touches():
    assert "hair_color" not in unrelated(TARGETS["blonde"])
    assert "hair_style" in unrelated(TARGETS["blonde"])
    assert not {"skin", "background"} & set(unrelated(TARGETS["sepia"]))
    hatted = distributions.base(1, 0)[0].portrait.with_(headwear="straw hat")
    assert "hair_style" in unreadable(hatted)
