"""Prompts as the method sees them: base text, target text, phrases, and the token positions of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spf_train.errors import ConfigError


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
        self.tokenizer = tokenizer
        self.context: int = tokenizer.model_max_length

    def ids(self, text: str) -> list[int]:
        """Token ids with start and end token, neither cut nor padded."""
        ids: list[int] = self.tokenizer(text, truncation=False)["input_ids"]
        return ids

    def fits(self, text: str) -> bool:
        """Whether the text, start and end token included, is inside the context."""
        return len(self.ids(text)) <= self.context

    def positions(self, base: str, target: str) -> Positions:
        """Finds base tokens, shared padding and phrases of one sample; the complete text has to fit."""
        base_ids, complete_ids = self.ids(base), self.ids(complete_text(base, target))
        # A base text ending in punctuation can merge with the comma after it: such a token is not shared.
        shared = 1
        while shared < len(base_ids) - 1 and base_ids[shared] == complete_ids[shared]:
            shared += 1
        return Positions(shared, len(complete_ids), tuple(self._phrases(base, shared)))

    def _phrases(self, base: str, shared: int) -> Iterator[Phrase]:
        """The phrases with at least one token before position `shared`, found by the tokenizer's offsets."""
        encoded = self.tokenizer(base, truncation=False, return_offsets_mapping=True)
        offsets = encoded["offset_mapping"]
        for text, start in split_phrases(base):
            inside = [i for i in range(1, shared) if offsets[i][0] < start + len(text) and offsets[i][1] > start]
            if inside:
                yield Phrase(text, inside[0], inside[-1] + 1)


def split_phrases(base: str) -> Iterator[tuple[str, int]]:
    """The comma-separated phrases of a base text, trimmed, each with its first character's place."""
    start = 0
    for part in base.split(","):
        if text := part.strip():
            yield text, start + part.index(text)
        start += len(part) + 1


def check_fit(prompts: Prompts, texts: list[str]) -> None:
    """Raises ConfigError naming the first complete texts that are longer than the context."""
    long = [text for text in texts if not prompts.fits(text)]
    if long:
        what = f"{len(long)} of {len(texts)} complete texts are longer than the context"
        why = f"the target text at the end of {long[0]!r} would be cut off after {prompts.context} tokens"
        raise ConfigError(what, why, "shorten these base texts")


def position_masks(positions: Sequence[Positions], context: int) -> tuple[Tensor, Tensor]:
    """Base tokens and shared padding of each sample, both bool [N, L]."""
    index = torch.arange(context)
    ends = torch.tensor([[p.base, p.padding] for p in positions])
    base = (index >= 1) & (index < ends[:, :1])
    return base, index >= ends[:, 1:]


def phrase_spans(positions: Sequence[Positions]) -> Tensor:
    """[first, end) of every phrase, int64 [N, P, 2] with P >= 1; missing ones are empty, (0, 0)."""
    most = max(1, *(len(item.phrases) for item in positions))
    spans = torch.zeros(len(positions), most, 2, dtype=torch.long)
    for row, item in enumerate(positions):
        for column, phrase in enumerate(item.phrases):
            spans[row, column] = torch.tensor([phrase.first, phrase.end])
    return spans


def phrase_tokens(spans: Tensor, context: int) -> Tensor:
    """Which positions belong to which phrase, bool [B, P, L], from spans [B, P, 2]."""
    index = torch.arange(context, device=spans.device)
    return (index >= spans[..., :1]) & (index < spans[..., 1:])
