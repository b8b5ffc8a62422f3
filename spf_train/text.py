"""Prompts as the method sees them: base text, target text, phrases, and the token positions of each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizerFast

TOKENIZE_BATCH = 4096


def telling_places(tokenizer: Any) -> Any:
    """The same CLIP tokenizer, able to tell where in a text its tokens stand; of transformers 4's two, one cannot."""
    if getattr(tokenizer, "is_fast", True):
        return tokenizer
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return CLIPTokenizerFast.from_pretrained(folder)


def complete_text(base: str, target: str) -> str:
    """The prompt of the response path: base text, then target text."""
    return f"{base}, {target}"


@dataclass(frozen=True)
class Phrase:
    """One comma-separated phrase of a base text, at token positions first, ..., end - 1 of both prompts."""

    text: str
    first: int
    end: int


@dataclass(frozen=True)
class Positions:
    """Where the parts of one sample stand in its prompts. Position 0 is the start token.

    base: positions 1, ..., base - 1 hold the same base tokens in both prompts.
    padding: from this position on, both prompts hold padding.
    phrases: the phrases of the base text that have tokens of their own.
    """

    base: int
    padding: int
    phrases: tuple[Phrase, ...]


class Prompts:
    """Token ids of texts, padded to the tokenizer's context of L tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = telling_places(tokenizer)
        self.context: int = tokenizer.model_max_length

    def ids(self, text: str) -> list[int]:
        """Token ids with start and end token, neither cut nor padded."""
        ids: list[int] = self.tokenizer(text, truncation=False)["input_ids"]
        return ids

    def fits(self, text: str) -> bool:
        """Whether the text, start and end token included, is inside the context."""
        return len(self.ids(text)) <= self.context

    def positions(self, bases: Sequence[str], targets: Sequence[str]) -> list[Positions]:
        """Finds base tokens, shared padding and phrases of every sample."""
        completes = [complete_text(*texts) for texts in zip(bases, targets, strict=True)]
        base = self.tokenizer(list(bases), truncation=False, return_offsets_mapping=True)
        complete = self.tokenizer(completes, truncation=False)
        columns = (bases, base["input_ids"], base["offset_mapping"], complete["input_ids"])
        return [_positions(*row) for row in zip(*columns, strict=True)]

    def cut_off(self, text: str) -> str:
        """The words of a text that lie outside the context; "" where it fits."""
        offsets = self.tokenizer(text, truncation=False, return_offsets_mapping=True)["offset_mapping"]
        if len(offsets) <= self.context:
            return ""
        first = offsets[self.context - 1][0]  # the end token takes the last place
        while first > 0 and text[first - 1] not in " ,":
            first -= 1  # a word of which only a part is cut is lost too
        return text[first:].strip(" ,")


def _positions(base: str, base_ids: list[int], offsets: list[tuple[int, int]], complete_ids: list[int]) -> Positions:
    # A base text ending in punctuation can merge with the comma after it: such a token is not shared.
    shared = 1
    while shared < len(base_ids) - 1 and base_ids[shared] == complete_ids[shared]:
        shared += 1
    return Positions(shared, len(complete_ids), tuple(_phrases(base, offsets, shared)))


def _phrases(base: str, offsets: list[tuple[int, int]], shared: int) -> Iterator[Phrase]:
    """The phrases with at least one token before position `shared`, found by the tokenizer's offsets."""
    first = 1
    for text, start in split_phrases(base):
        while first < shared and offsets[first][1] <= start:
            first += 1
        end = first
        while end < shared and offsets[end][0] < start + len(text):
            end += 1
        if first < end:
            yield Phrase(text, first, end)


def split_phrases(base: str) -> Iterator[tuple[str, int]]:
    """The comma-separated phrases of a base text, trimmed, each with its first character's place."""
    start = 0
    for part in base.split(","):
        if text := part.strip():
            yield text, start + part.index(text)
        start += len(part) + 1


def token_places(prompts: Prompts, bases: Sequence[str], targets: Sequence[str]) -> dict[str, Tensor]:
    """Where everything stands in the prompts of N samples.

    ends: first position after the base tokens, and first position of the shared padding, int64 [N, 2].
    spans: [first, end) of every phrase, int64 [N, P, 2] with P >= 1; missing ones are empty, (0, 0).
    """
    ends, spans = [], []
    for start in range(0, len(bases), TOKENIZE_BATCH):
        part = slice(start, start + TOKENIZE_BATCH)
        for item in prompts.positions(bases[part], targets[part]):
            ends.append([item.base, item.padding])
            spans.append(torch.tensor([[phrase.first, phrase.end] for phrase in item.phrases]).view(-1, 2))
    padded = torch.nn.utils.rnn.pad_sequence([torch.zeros(1, 2, dtype=torch.long), *spans], batch_first=True)
    return {"ends": torch.tensor(ends), "spans": padded[1:].long()}


def position_masks(ends: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Base tokens and shared padding of each sample, both bool [N, L], from `ends` [N, 2] of `token_places`."""
    index = torch.arange(context)
    return (index >= 1) & (index < ends[:, :1]), index >= ends[:, 1:]


def phrase_tokens(spans: Tensor, context: int) -> Tensor:
    """Which positions belong to which phrase, bool [B, P, L], from spans [B, P, 2]."""
    index = torch.arange(context, device=spans.device)
    return (index >= spans[..., :1]) & (index < spans[..., 1:])
