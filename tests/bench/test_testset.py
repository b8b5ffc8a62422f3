"""Test sets: frozen, verified, and drawn from the world as their card says."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.triple import Category, Triple
from spf_bench.world import testset as world_testset
from spf_bench.world.distributions import CATEGORY_COUNTS
from spf_bench.world.targets import by_phrase
from tests.bench.conftest import make_triples


def test_saved_triples_load_as_they_were(frozen: testset.TestSet, tmp_path: Path) -> None:
    assert list(frozen.triples) == make_triples()
    assert testset.available() == {"mini": frozen.folder}
    assert testset.load(str(frozen.folder)).sha256 == frozen.sha256
    link = tmp_path / "mini.jsonl"
    link.symlink_to(frozen.folder / testset.TRIPLES)
    assert testset.load(str(link)) == testset.load("mini")
    assert testset.counts(frozen.triples) == dict.fromkeys(
        (Category.facial_attributes, Category.image_style, Category.accessories), 2
    )


@pytest.mark.parametrize("name", [testset.TRIPLES, testset.CARD])
def test_a_changed_file_is_refused(frozen: testset.TestSet, name: str) -> None:
    with (frozen.folder / name).open("a") as file:
        file.write("\n")
    with pytest.raises(UserError) as caught:
        testset.load("mini")
    assert name in str(caught.value) and "git checkout" in str(caught.value)


def test_checksums_must_be_there_and_cover_the_triples(frozen: testset.TestSet) -> None:
    (frozen.folder / testset.SUMS).write_text("")
    with pytest.raises(UserError, match="not as it was frozen"):
        testset.load("mini")
    (frozen.folder / testset.SUMS).unlink()
    with pytest.raises(UserError, match="has no SHA256SUMS"):
        testset.load("mini")


def test_a_line_that_is_no_triple_is_named(frozen: testset.TestSet) -> None:
    shutil.rmtree(frozen.folder)
    triples = make_triples(2)
    testset.save(frozen.folder, [triples[0], triples[0]], "")
    with pytest.raises(UserError, match=r"line 2 +id 'mini-0000' stands there twice"):
        testset.load("mini")
    (frozen.folder / testset.TRIPLES).write_text('{"id": "a"}\n')
    (frozen.folder / testset.SUMS).write_text(
        f"{testset.file_sha256(frozen.folder / testset.TRIPLES)}  {testset.TRIPLES}\n"
    )
    with pytest.raises(UserError, match="line 1"):
        testset.load("mini")


def test_unknown_names_and_limits(frozen: testset.TestSet) -> None:
    with pytest.raises(UserError) as caught:
        testset.load("mino")
    assert "did you mean 'mini'" in str(caught.value)
    assert len(frozen.head(2)) == 2 and len(frozen.head(None)) == 6
    for limit in (0, 7):
        with pytest.raises(UserError, match="does not fit"):
            frozen.head(limit)


def test_largest_remainder() -> None:
    shares = {Category.clothing: 5, Category.accessories: 3, Category.image_style: 1}
    assert world_testset.apportion(10, shares) == {
        Category.clothing: 6,
        Category.accessories: 3,
        Category.image_style: 1,
    }
    assert sum(world_testset.apportion(512, CATEGORY_COUNTS).values()) == 512


def test_any_prefix_has_nearly_the_proportions_of_the_whole() -> None:
    seats = world_testset.apportion(512, CATEGORY_COUNTS)
    order = list(world_testset.interleave(seats))
    assert Counter(order) == seats
    for n in (16, 32, 100, 256):
        found = Counter(order[:n])
        assert all(abs(found[c] - n * seats[c] / 512) <= 1.5 for c in Category)


@pytest.fixture(scope="module")
def validation() -> Iterator[list[Triple]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(world_testset.SETS, "world-mini", ("validation", 40))
        yield world_testset.build("world-mini")


def test_the_world_builder_keeps_its_promises(validation: list[Triple]) -> None:
    assert testset.counts(validation) == world_testset.apportion(len(validation), CATEGORY_COUNTS)
    assert (
        len({t.prompt for t in validation})
        == len({t.id for t in validation})
        == len({t.seed for t in validation})
        == len(validation)
    )
    assert world_testset.noise_seed("world-v1-0001") == 2135361129
    for triple in validation:
        target = by_phrase(triple.target)
        assert triple.category == target.category and triple.base == ", ".join(triple.phrases)
        if "hair_color" in target.contradicts:
            assert not any(color in triple.base for color in ("black", "brown hair", "red hair", "grey hair"))


def test_the_card_says_what_is_in_the_set(validation: list[Triple]) -> None:
    card = world_testset.card("world-mini", validation, 0)
    assert f"{len(validation)} triples" in card and "never for reported results" in card and "| clothing |" in card


def test_an_unknown_world_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="world-v2"):
        world_testset.freeze("world-v2", tmp_path)
