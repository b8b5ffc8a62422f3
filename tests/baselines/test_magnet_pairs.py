"""Pairs of noun and attribute: from a caption's phrases, from constituency trees, and where they stand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from baselines.magnet import trees
from baselines.magnet.bank import nouns, words
from baselines.magnet.pairs import clean, last_token, pairs_of
from spf_bench.errors import UserError
from spf_train.single_file import load_tokenizer

TEXT = json.loads((Path(__file__).parent / "vectors" / "magnet_text.json").read_text(encoding="utf-8"))
# Where rules without a parser, or the parser's own slips, lead elsewhere: what the rules find instead.
OTHERWISE = {
    "a bowl of broccoli and red rice with a white sauce": ["bowl", "broccoli", "red rice", "white sauce"],
    "a lone , green fire hydrant sits in red grass": ["lone", "red grass"],
    "a photo of Emma Stone with green eyes": ["Emma Stone", "green eyes"],
    "a dog dog": ["dog dog"],
}


@pytest.mark.parametrize("case", TEXT["prompt_check"], ids=lambda case: case["text"])
def test_prompts_are_cleaned_as_the_authors_clean_them(case: dict[str, str]) -> None:
    assert clean(case["text"]) == case["checked"]


@pytest.mark.parametrize("case", TEXT["pairs_from_constituency"], ids=lambda case: case["prompt"])
def test_pairs_of_a_tree_are_the_authors(case: dict) -> None:
    found = [
        {"subject": p.subject, "attribute": p.attribute, "concept": p.concept}
        for p in trees.pairs_of_tree(case["tree"])
    ]
    assert found == case["pairs"]


@pytest.mark.parametrize("case", TEXT["pairs_from_constituency"], ids=lambda case: case["prompt"])
def test_rules_find_what_a_parser_finds(case: dict) -> None:
    expected = OTHERWISE.get(case["prompt"]) or [pair["concept"] for pair in case["pairs"]]
    assert [pair.concept for pair in pairs_of([case["prompt"]], nouns())] == expected


@pytest.mark.parametrize("case", TEXT["span_and_token_index"], ids=lambda case: case["prompt"])
def test_a_concept_is_found_at_its_last_token(case: dict) -> None:
    tokenizer = load_tokenizer()
    lengths = [len(tokenizer(word, add_special_tokens=False).input_ids) for word in case["prompt"].split(" ")]
    expected = case["token_idx"][-1] if case["token_idx"] else None
    if case["prompt"] == "a red red car":
        expected = 4  # the authors' search gives up there: it does not start again at the word that broke it off
    if case["prompt"] == "red":
        expected = None  # theirs takes "red" for "red car" because the text ends
    assert last_token(case["prompt"], case["concept"], lengths) == expected


@pytest.mark.parametrize(
    ("phrase", "concepts"),
    [
        ("a man with tan skin", ["man", "tan skin"]),
        ("in a yellow t-shirt", ["yellow t-shirt"]),
        ("sky blue background", ["sky blue background"]),
        ("curly black hair", ["curly black hair"]),
        ("wearing a black skull shirt", ["black skull shirt"]),
        ("pencil sketch style", ["pencil sketch style"]),
        ("wearing sunglasses", ["sunglasses"]),
        ("with an afro", ["afro"]),
        ("with emerald chokers", ["emerald chokers"]),
        ("with loose kerchiefs", ["loose kerchiefs"]),
        ("a smiling woman standing outdoors", ["smiling woman"]),
        ("smiling slightly", []),
        ("smiling", []),
        ("serious", []),
        ("very happy", []),
        ("a photo of a woman's blue hat", ["woman", "blue hat"]),
        ("", []),
    ],
)
def test_pairs_of_a_phrase(phrase: str, concepts: list[str]) -> None:
    assert [pair.concept for pair in pairs_of([phrase], nouns())] == concepts


def test_the_bank_has_about_600_words_once_each_and_knows_portraits() -> None:
    assert 550 <= len(words()) <= 650 and len(words()) == len(nouns())
    assert {"man", "woman", "hair", "skin", "beard", "freckles", "sweater", "sunglasses", "hat"} <= nouns()


@pytest.mark.parametrize("text", ["(NP (NN dog)", "(NP dog))", "", "(A b) (C d)"])
def test_what_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not one tree"):
        trees.read(text)


def test_a_parser_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stanza", None)
    trees._parser.cache_clear()
    with pytest.raises(UserError, match="pairs=stanza cannot run here") as error:
        trees.pairs_by_stanza("a red hat")
    assert "pip install stanza" in error.value.fix


def test_a_parsers_first_sentence_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = SimpleNamespace(sentences=[SimpleNamespace(constituency="(ROOT (NP (DT a) (JJ red) (NN hat)))"), None])
    monkeypatch.setitem(sys.modules, "stanza", SimpleNamespace(Pipeline=lambda *_, **__: lambda prompt: parsed))
    trees._parser.cache_clear()
    assert [pair.concept for pair in trees.pairs_by_stanza("a red hat")] == ["red hat"]
    trees._parser.cache_clear()
