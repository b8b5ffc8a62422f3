"""Phrases, base tokens and shared padding are found where they are."""

from __future__ import annotations

import pytest
import torch

from spf_train.text import (
    Positions,
    Prompts,
    complete_text,
    phrase_tokens,
    position_masks,
    split_phrases,
    token_places,
)
from tests.tiny import CONTEXT, tiny_text_encoder, tiny_tokenizer

BASE, TARGET = "a man with dark skin,  short red hair, smiling", "with a beard"


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(tiny_tokenizer())


def words(prompts: Prompts, text: str, first: int, end: int) -> str:
    return prompts.tokenizer.decode(prompts.ids(text)[first:end]).strip()


def positions_of(prompts: Prompts, base: str) -> Positions:
    return prompts.positions([base], [TARGET])[0]


def test_split_keeps_the_place_of_each_phrase() -> None:
    text = " a man, ,smiling ,"
    assert list(split_phrases(text)) == [("a man", 1), ("smiling", 9)]


def test_phrases_are_the_tokens_between_commas(prompts: Prompts) -> None:
    found = positions_of(prompts, BASE).phrases
    assert [phrase.text for phrase in found] == ["a man with dark skin", "short red hair", "smiling"]
    for phrase in found:
        for text in (BASE, complete_text(BASE, TARGET)):
            assert words(prompts, text, phrase.first, phrase.end) == phrase.text


def test_base_tokens_are_the_same_in_both_prompts(prompts: Prompts) -> None:
    positions = positions_of(prompts, BASE)
    base, complete = prompts.ids(BASE), prompts.ids(complete_text(BASE, TARGET))
    assert positions.base == len(base) - 1  # all but the end token
    assert base[: positions.base] == complete[: positions.base]
    assert positions.padding == len(complete)


def test_a_full_stop_that_merges_with_the_comma_is_not_shared(prompts: Prompts) -> None:
    positions = positions_of(prompts, "a man, smiling.")
    assert positions.base == len(prompts.ids("a man, smiling.")) - 2
    assert words(prompts, "a man, smiling.", *_last(positions.phrases)) == "smiling"


def _last(found: tuple) -> tuple[int, int]:  # type: ignore[type-arg]
    return found[-1].first, found[-1].end


def test_masks_and_spans(prompts: Prompts) -> None:
    first = positions_of(prompts, BASE)
    places = token_places(prompts, [BASE, "a man"], [TARGET, TARGET])
    base, padding = position_masks(places["ends"], CONTEXT)
    assert not base[:, 0].any() and base[1].sum() == 2 and base[0].sum() == first.base - 1
    assert padding[0].nonzero()[0].item() == len(prompts.ids(complete_text(BASE, TARGET)))
    spans = places["spans"]
    assert spans.shape == (2, 3, 2) and spans[1, 1:].sum() == 0
    tokens = phrase_tokens(spans, CONTEXT)
    phrase = first.phrases[1]
    assert tokens[0, 1].nonzero().flatten().tolist() == list(range(phrase.first, phrase.end))
    assert not tokens[1, 1:].any()


def test_many_samples_are_found_as_each_alone(prompts: Prompts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spf_train.text.TOKENIZE_BATCH", 2)
    bases = [BASE, "a man", "", ",,", "a man, smiling"]
    together = token_places(prompts, bases, [TARGET] * 5)
    for row, base in enumerate(bases):
        alone = token_places(prompts, [base], [TARGET])
        count = alone["spans"].shape[1]
        assert torch.equal(together["ends"][row], alone["ends"][0])
        assert torch.equal(together["spans"][row, :count], alone["spans"][0])
        assert not together["spans"][row, count:].any()
    assert token_places(prompts, [""], [TARGET])["spans"].shape == (1, 1, 2)


def test_the_words_beyond_the_context_are_named(prompts: Prompts) -> None:
    fitting = "a man, " * ((CONTEXT - 2) // 3)
    assert prompts.cut_off(fitting) == ""
    words = f"{fitting}with a beard, smiling"
    cut = prompts.cut_off(words)
    kept = prompts.tokenizer.decode(prompts.tokenizer(words, truncation=True).input_ids, skip_special_tokens=True)
    assert cut == "beard, smiling" and kept.strip().endswith("with a")


def test_a_word_cut_in_the_middle_is_lost_whole(prompts: Prompts) -> None:
    assert prompts.cut_off("a " * (CONTEXT - 4) + "zyzzyvas, smiling") == "zyzzyvas, smiling"
    assert prompts.cut_off("q" * 3 * CONTEXT) == "q" * 3 * CONTEXT


def test_base_hidden_states_do_not_depend_on_the_target() -> None:
    """What L_text rests on: CLIP's text transformer is causal."""
    encoder, prompts = tiny_text_encoder(), Prompts(tiny_tokenizer())
    texts = [BASE, complete_text(BASE, TARGET)]
    ids = prompts.tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        base, complete = encoder(ids).last_hidden_state
    end = positions_of(prompts, BASE).base
    torch.testing.assert_close(base[:end], complete[:end])
    assert not torch.allclose(base[end], complete[end])
