"""What is compared is balanced over methods, categories and sides, for everyone and for all of them together."""

from collections import Counter

import pytest

from spf_bench.study import plan
from spf_bench.study.model import Unit
from spf_bench.study.plan import Ask, Placed
from spf_bench.triple import Category, Triple

LABELS = ("A", "B", "C", "D")
PAPER = Ask()


def triples(n: int = 100) -> list[Triple]:
    kinds = list(Category)
    return [Triple(f"t{i:03}", "a woman", "with a hat", kinds[i % 5], i, ("a woman",)) for i in range(n)]


def planned(ask: Ask = PAPER, ours: str | None = None, n: int = 100) -> tuple[list[Unit], list[list[Placed]]]:
    pairs = plan.pairs_of(LABELS, ours)
    units = [*plan.choose(pairs, triples(n), ask), *plan.checks(triples(n), ask)]
    return units, plan.deal(units, len(pairs), ask)


def spread(counts: Counter[object]) -> int:
    return max(counts.values()) - min(counts.values())


def test_ours_is_compared_with_each_other_one() -> None:
    assert plan.pairs_of(LABELS, "C") == [("C", "A"), ("C", "B"), ("C", "D")]
    assert len(plan.pairs_of(LABELS)) == 6


@pytest.mark.parametrize("ours", [None, "A"])
def test_everybody_sees_pairs_categories_and_sides_equally_often(ours: str | None) -> None:
    units, dealt = planned(ours=ours)
    assert len(dealt) == PAPER.participants
    for placed in dealt:
        seen = [one for one in placed if not units[one.unit].check]
        assert len(seen) == PAPER.pairs and len({one.unit for one in seen}) == PAPER.pairs
        assert len(placed) == PAPER.pairs + PAPER.checks
        assert spread(Counter(units[one.unit].pair for one in seen)) <= 1
        assert spread(Counter(units[one.unit].category for one in seen)) <= 3
        assert abs(sum(one.flipped for one in seen) - PAPER.pairs / 2) <= 3
        sides = Counter((units[one.unit].pair, one.flipped) for one in seen)
        assert spread(sides) <= 1
        assert sum(one.flipped for one in placed if units[one.unit].check) == PAPER.checks / 2


def test_all_together_every_cell_is_equally_full() -> None:
    units, dealt = planned()
    seen = [one for placed in dealt for one in placed if not units[one.unit].check]
    assert spread(Counter(one.unit for one in seen)) == 0
    assert set(Counter(one.unit for one in seen).values()) == {PAPER.raters}
    assert spread(Counter((units[one.unit].pair, one.flipped) for one in seen)) <= 4
    assert spread(Counter((units[one.unit].pair, units[one.unit].category) for one in seen)) <= PAPER.raters
    assert len({(units[u].pair, units[u].triple) for u in {one.unit for one in seen}}) == len(
        {one.unit for one in seen}
    )


def test_comparisons_are_on_both_sides_for_different_people() -> None:
    _, dealt = planned()
    sides: dict[int, set[bool]] = {}
    for placed in dealt:
        for one in placed:
            sides.setdefault(one.unit, set()).add(one.flipped)
    assert all(len(found) == 2 for found in sides.values())


def test_checks_are_spread_over_the_ballot_at_places_that_differ() -> None:
    units, dealt = planned()
    places = [[i for i, one in enumerate(placed) if units[one.unit].check] for placed in dealt]
    for found in places:
        assert all(13 * k <= place < 13 * (k + 1) for k, place in enumerate(found))
    assert len({tuple(found) for found in places}) > 25


def test_categories_that_run_out_are_replaced_and_few_triples_have_more_raters() -> None:
    some = [t for t in triples(40) if t.category == Category.clothing or int(t.id[1:]) < 10]
    units = plan.choose(plan.pairs_of(LABELS), some, Ask(participants=32, pairs=48))
    assert len(units) == 6 * len(some)
    assert len({(unit.pair, unit.triple) for unit in units}) == len(units)


def test_the_seed_decides() -> None:
    assert planned() == planned()
    assert planned() != planned(Ask(seed=1))
