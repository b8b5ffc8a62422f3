"""Phrases, base tokens and shared padding are found where they are."""

from __future__ import annotations

import pytest
import torch

from spf_train.errors import ConfigError
from spf_train.text import (
    Prompts,
    check_fit,
    complete_text,
    phrase_spans,
    phrase_tokens,
    position_masks,
    split_phrases,
)
from tests.tiny import CONTEXT, tiny_text_encoder, tiny_tokenizer

BASE, TARGET = "a man with dark skin,  short red hair, smiling", "with a beard"


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(tiny_tokenizer())


def words(prompts: Prompts, text: str, first: int, end: int) -> str:
    return prompts.tokenizer.decode(prompts.ids(text)[first:end]).strip()


def test_split_keeps_the_place_of_each_phrase() -> None:
    text = " a man, ,smiling ,"
    assert list(split_phrases(text)) == [("a man", 1), ("smiling", 9)]


def test_phrases_are_the_tokens_between_commas(prompts: Prompts) -> None:
    found = prompts.positions(BASE, TARGET).phrases
    assert [phrase.text for phrase in found] == ["a man with dark skin", "short red hair", "smiling"]
    for phrase in found:
        for text in (BASE, complete_text(BASE, TARGET)):
            assert words(prompts, text, phrase.first, phrase.end) == phrase.text


def test_base_tokens_are_the_same_in_both_prompts(prompts: Prompts) -> None:
    positions = prompts.positions(BASE, TARGET)
    base, complete = prompts.ids(BASE), prompts.ids(complete_text(BASE, TARGET))
    assert positions.base == len(base) - 1  # all but the end token
    assert base[: positions.base] == complete[: positions.base]
    assert positions.padding == len(complete)


def test_a_full_stop_that_merges_with_the_comma_is_not_shared(prompts: Prompts) -> None:
    positions = prompts.positions("a man, smiling.", TARGET)
    assert positions.base == len(prompts.ids("a man, smiling.")) - 2
    assert words(prompts, "a man, smiling.", *_last(positions.phrases)) == "smiling"


def _last(found: tuple) -> tuple[int, int]:  # type: ignore[type-arg]
    return found[-1].first, found[-1].end


def test_masks_and_spans(prompts: Prompts) -> None:
    positions = [prompts.positions(base, TARGET) for base in (BASE, "a man")]
    base, padding = position_masks(positions, CONTEXT)
    assert not base[:, 0].any() and base[1].sum() == 2 and base[0].sum() == positions[0].base - 1
    assert padding[0].nonzero()[0].item() == len(prompts.ids(complete_text(BASE, TARGET)))
    spans = phrase_spans(positions)
    assert spans.shape == (2, 3, 2) and spans[1, 1:].sum() == 0
    tokens = phrase_tokens(spans, CONTEXT)
    first = positions[0].phrases[1]
    assert tokens[0, 1].nonzero().flatten().tolist() == list(range(first.first, first.end))
    assert not tokens[1, 1:].any()


def test_texts_beyond_the_context_are_refused(prompts: Prompts) -> None:
    with pytest.raises(ConfigError, match="1 of 2 complete texts"):
        check_fit(prompts, ["a man", "a man, " * 20])


def test_base_hidden_states_do_not_depend_on_the_target() -> None:
    """What L_text rests on: CLIP's text transformer is causal."""
    encoder, prompts = tiny_text_encoder(), Prompts(tiny_tokenizer())
    texts = [BASE, complete_text(BASE, TARGET)]
    ids = prompts.tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        base, complete = encoder(ids).last_hidden_state
    end = prompts.positions(BASE, TARGET).base
    torch.testing.assert_close(base[:end], complete[:end])
    assert not torch.allclose(base[end], complete[end])
