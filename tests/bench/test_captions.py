"""The caption grammar: what its lines declare, how it reads, and that it counts tokens as CLIP does."""

import random
import re
from pathlib import Path

import pytest

from spf_bench.captions import general, grammar
from spf_bench.captions.lexicon import Line, articles, fits, implied, parse, repeats
from spf_bench.captions.people import AGES, GENDERS, SKINS, Person, deck
from spf_bench.captions.tokens import LIMIT, clip_tokens, table
from spf_bench.captions.vocabulary import texts, variants, vocabulary
from spf_bench.triple import Category
from spf_bench.world.distributions import CATEGORY_COUNTS
from spf_bench.world.testset import apportion

WORDS = Path(grammar.__file__).parent / "words"
MERGES = Path(__file__).parents[2] / "spf_train" / "configs" / "sd15" / "tokenizer" / "merges.txt"


def test_a_line_says_what_it_declares_and_what_its_words_imply() -> None:
    line = parse("wearing a {red|blue} hat ; neck +woman -indoor", ["far"], ["water"])
    assert line.text == "wearing a {red|blue} hat"
    assert line.tags == {"far", "neck", "headwear"}
    assert line.needs == {"woman"} and line.never == {"indoor", "water"}
    assert implied("a fair-skinned man with bright eyes") == {"skin", "eyes"}
    assert "colour" in line.spoken(random.Random(0)).tags


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("with blonde hair", "with long black hair", False),
        ("wearing a straw hat", "wearing a red beanie", False),
        ("smiling", "with a serious expression", False),
        ("smiling ; -asleep", "sleeping on a train ; asleep", False),
        ("with a beard ; +man", "in the park", False),
        ("with freckles", "in the park", True),
    ],
)
def test_texts_that_contradict_each_other_do_not_fit(one: str, other: str, together: bool) -> None:
    assert fits(parse(one), parse(other)) is fits(parse(one), parse(other).beside(Line(""))) is together


def test_pronouns_articles_and_choices_are_settled() -> None:
    line = parse("holding a {apple} in {his} hand".replace("{apple}", "{apple|orange}"))
    assert re.fullmatch(r"holding an (apple|orange) in her hand", line.spoken(random.Random(1), "woman").text)
    assert articles("a hour, a old unicorn and an uniform, an European and a eye") == (
        "a hour, an old unicorn and a uniform, a European and an eye"
    )
    assert repeats("A man, picking flowers, in a field of flowers") and not repeats("A man in a man's hat")
    assert variants("a {red|old} hat") == ["a red hat", "an old hat"]


def test_every_text_of_the_grammar_is_clean() -> None:
    for text in texts():
        assert text == text.strip() and not re.search(r"[{}|;,]|  |\b(\w+) \1\b", text), text
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", text, re.IGNORECASE), text
        assert not re.search(r"\b(colour|grey|jewellery|moustache|pyjamas)\b", text), f"{text} is not American"


def test_the_targets_are_160_in_the_proportions_of_table_3() -> None:
    found = grammar.targets()
    assert {category: len(lines) for category, lines in found.items()} == apportion(160, CATEGORY_COUNTS)
    said = [line.text for lines in found.values() for line in lines]
    assert len(set(said)) == 160
    assert not any(re.search(r"\b(his|her|him)\b", text) for text in said)


def test_what_excludes_the_targets_of_each_kind() -> None:
    targets = {line.text: line for lines in grammar.targets().values() for line in lines}
    for text, line in targets.items():
        assert "clothes" in line.tags or text not in {t.text for t in grammar.targets()["clothing"]}, text
        assert line.needs <= {"man", "woman"}, "a target's needs are met by the person alone"
    adults = ["wearing red lipstick", "with a full beard", "with a sleeve tattoo", "wearing a red evening gown"]
    assert all("child" in targets[text].never for text in adults)
    assert all("photo" in line.never for line in grammar.targets()["image_style"])


@pytest.mark.parametrize("gender", GENDERS)
@pytest.mark.parametrize("age", AGES)
def test_everybody_finds_targets_of_every_category(gender: str, age: str) -> None:
    about = Line("", Person(gender, age, "dark").tags)
    for category in Category:
        assert sum(fits(line, about) for line in grammar.targets()[category]) >= 8, category


def test_children_are_kept_out_of_bars_and_swimwear() -> None:
    rng = random.Random(0)
    child, plain = Person("woman", "child", None), Line("oil painting")
    drawn = [caption for _ in range(600) if (caption := grammar.compose(child, plain, rng))]
    assert len(drawn) > 300
    assert not {caption.setting for caption in drawn} & {"bar", "swimming pool", "gym", "music stage", "night street"}
    assert not any(re.search("swim|wine|beer|lying in bed|lying on a towel", caption.text) for caption in drawn)


def test_people_are_in_equal_numbers() -> None:
    people = deck(5000, random.Random(0))
    for gender in GENDERS:
        for age in AGES:
            group = [person.skin for person in people if (person.gender, person.age) == (gender, age)]
            assert [group.count(skin) for skin in SKINS] == [40] * 6 and len(group) == 500
    assert {len([p for p in deck(13, random.Random(0)) if p.gender == gender]) for gender in GENDERS} == {5, 8}


def test_the_same_seed_says_the_same() -> None:
    target = grammar.targets()["accessories"][0]
    for compose in (lambda rng: grammar.compose(Person("man", "adult", None), target, rng),
                    lambda rng: general.compose("scene", Line("oil painting"), rng)):  # fmt: skip
        first, second = ([compose(rng) for _ in range(40)] for rng in (random.Random(5), random.Random(5)))
        assert first == second and any(first)


@pytest.mark.skipif(not MERGES.is_file(), reason="CLIP's merges are not in this checkout")
def test_token_counts_are_those_of_clip() -> None:
    assert table(vocabulary(), MERGES) == (WORDS / "clip_tokens.txt").read_text(encoding="utf-8")


def test_tokens_of_a_caption() -> None:
    assert LIMIT == 77
    assert clip_tokens("a photo of a cat") == 7
    assert clip_tokens("A photo of a woman, playing the guitar") == 11
    assert clip_tokens("zxqv") == 6, "an unknown word counts its letters"


def test_every_tag_that_is_refused_or_needed_can_be_said() -> None:
    rng = random.Random(0)
    lines = [line for scene in grammar.scenes() for part in scene.parts.values() for line in part]
    lines += [line for part in (*grammar.looks().values(), *grammar.targets().values()) for line in part]
    spoken = [line.spoken(rng) for line in lines for _ in range(4)]
    said = {*GENDERS, *AGES, *SKINS, "skin"}.union(
        *(line.tags for line in spoken), *(scene.about.tags for scene in grammar.scenes())
    )
    asked = frozenset[str]().union(*(line.never | line.needs for line in lines))
    assert asked <= said, f"misspelt: {sorted(asked - said)}"
