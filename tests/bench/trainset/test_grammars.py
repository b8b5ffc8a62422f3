"""Candidates' texts: Table 3's proportions, none of the test set's base texts, and all of them read whole."""

from collections import Counter

from spf_bench import testset
from spf_bench.captions.build import FIVE_K
from spf_bench.captions.tokens import LIMIT, clip_tokens
from spf_bench.trainset.chunks import CHUNK
from spf_bench.trainset.grammars import PORTRAITS, WORLD, for_suite, portraits, world
from spf_bench.world.distributions import CATEGORY_COUNTS, _part
from spf_bench.world.testset import apportion


def test_any_number_of_chunks_has_the_proportions_of_table_3() -> None:
    drawn = [triple for chunk in range(2) for triple in portraits(0, chunk)]
    found = Counter(triple.category for triple in drawn)
    assert found == apportion(2 * CHUNK, CATEGORY_COUNTS)
    assert len({triple.id for triple in drawn}) == len({triple.seed for triple in drawn}) == 2 * CHUNK
    assert all("." not in triple.id for triple in drawn)  # a tar's names end at the first one


def test_texts_are_new_and_fit() -> None:
    held_out = {triple.base for triple in testset.load(FIVE_K).triples}
    drawn = portraits(1, 3)
    assert not held_out & {triple.base for triple in drawn}
    assert len({triple.base for triple in drawn}) == CHUNK
    assert max(clip_tokens(triple.prompt) for triple in drawn) <= LIMIT
    assert all(", ".join(triple.phrases) == triple.base for triple in drawn)


def test_a_chunk_is_drawn_by_itself() -> None:
    assert portraits(0, 5) == portraits(0, 5)
    assert portraits(0, 5) != portraits(1, 5)
    assert world(0, 1) == world(0, 1)
    assert world(0, 1)[0].base != world(0, 2)[0].base or world(0, 1)[1].base != world(0, 2)[1].base


def test_the_worlds_texts_are_none_of_its_tests() -> None:
    drawn = world(0, 0)
    assert len(drawn) == CHUNK and len({triple.id for triple in drawn}) == CHUNK
    assert {_part(triple.base) for triple in drawn} == {_part(triple.prompt) for triple in drawn} == {"train"}


def test_a_suite_has_the_grammar_its_models_understand() -> None:
    assert for_suite("world") is WORLD and for_suite("paper") is PORTRAITS
    assert PORTRAITS.facts(0)["apart"] == testset.load(FIVE_K).sha256
    assert PORTRAITS.facts(0) != PORTRAITS.facts(1)
