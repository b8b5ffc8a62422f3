"""The edit of a text embedding: every noun is pulled to its attribute and pushed from those of the others."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.magnet.bank import Bank
from baselines.magnet.pairs import Pair, last_token
from baselines.magnet.phrases import Phrases
from baselines.magnet.settings import MagnetSettings


class Placed(NamedTuple):
    """A pair and where its noun stands."""

    pair: Pair
    """The noun and its attribute."""
    position: int
    """Of the last token of the noun's first occurrence, the only row of the embedding that is edited."""


class Editor:
    """Edits embeddings of one text encoder.

    Args:
        phrases: The encoder, for phrases on their own.
        bank: Its word bank.
        settings: K, lambda, and which of the two parts are on.
    """

    def __init__(self, phrases: Phrases, bank: Bank, settings: MagnetSettings) -> None:
        self.phrases, self.bank, self.settings = phrases, bank, settings
        self._spare = max(map(phrases.length, bank.words))  # by so much may a concept grow when its noun is replaced
        self._neighbours: dict[str, list[str]] = {}
        self._bindings: dict[tuple[Pair, str], Tensor] = {}

    def place(self, prompt: str, pairs: Iterable[Pair]) -> tuple[list[Placed], Counter[str]]:
        """Find the pairs' nouns in a cleaned prompt; count the pairs that cannot be edited by their reason."""
        lengths = [self.phrases.length(word) for word in prompt.split(" ")]
        room = self.phrases.tokenizer.model_max_length - 2  # without the tokens of start and end
        placed: list[Placed] = []
        skipped: Counter[str] = Counter()
        for pair in pairs:
            position = last_token(prompt, pair.concept, lengths)
            if position is None:
                skipped["not in the text as one run of words"] += 1
            elif position > room:
                skipped["beyond the text encoder's last position"] += 1
            elif self.phrases.length(pair.concept) + self._spare > room:
                skipped["too long to be read with another noun"] += 1
            else:
                placed.append(Placed(pair, position))
        return placed, skipped

    def edit(self, embeds: Tensor, placed: Sequence[Placed]) -> Tensor:
        """Return a prompt's embedding [L, D] with the row of every placed noun moved."""
        edited = embeds.clone()
        for at in placed:
            alpha, beta = self.strengths(at.pair)
            move = alpha * self.pull(at.pair)
            for push in self.pushes(at, placed):
                move = move - beta * push
            edited[at.position] += move.to(edited)
        return edited

    def strengths(self, pair: Pair) -> tuple[float, float]:
        """Return alpha = exp(lambda - omega) and beta = 1 - omega^2 of a pair; 0 for a part that is off."""
        omega, on = self.phrases.drift(pair.concept), self.settings
        alpha = math.exp(on.strength - omega) if pair.alpha is None else pair.alpha
        beta = 1 - omega**2 if pair.beta is None else pair.beta
        return alpha if on.positive else 0.0, beta if on.negative else 0.0

    def pull(self, pair: Pair) -> Tensor:
        """Return the positive binding vector [D]: what the attribute adds to the noun and its neighbours."""
        return self.binding(pair, pair.subject)

    def pushes(self, at: Placed, placed: Sequence[Placed]) -> list[Tensor]:
        """Return the negative binding vectors [D]: what each other attribute would add to this noun's neighbours."""
        others = [other.pair for other in placed if other is not at and other.pair.attribute]
        return [self.binding(other, at.pair.subject) for other in others]

    def binding(self, pair: Pair, subject: str) -> Tensor:
        """Return the mean over ``subject``'s neighbours n of w(attribute of ``pair`` + n) - w(n), a vector [D]."""
        if (pair, subject) not in self._bindings:
            near, word = self.neighbours(subject), self.phrases.word
            moves = [word(pair.concept.replace(pair.subject, other)) - word(other) for other in near]
            self._bindings[pair, subject] = torch.stack(moves).mean(dim=0)
        return self._bindings[pair, subject]

    def neighbours(self, subject: str) -> list[str]:
        """Return the noun and its nearest entities, K in all."""
        if subject not in self._neighbours:
            vector = self.phrases.word(subject)
            self._neighbours[subject] = self.bank.nearest(subject, vector, self.settings.neighbours)
        return self._neighbours[subject]
