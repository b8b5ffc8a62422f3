"""The word bank: everyday nouns, and which of them a text encoder holds for neighbours of a given noun."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

from baselines.magnet.phrases import Phrases
from spf_bench.files.store import write_atomic

FILE = Path(__file__).with_name("words.txt")


@cache
def words() -> tuple[str, ...]:
    """Return the bank's words in the order of their file."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return tuple(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def nouns() -> frozenset[str]:
    """Return the bank's words as a set."""
    return frozenset(words())


@dataclass(frozen=True)
class Bank:
    """Words and what one text encoder makes of them: another encoder needs a bank of its own."""

    words: tuple[str, ...]
    """N candidate entities."""
    vectors: Tensor
    """Their embeddings [N, D], of norm 1."""

    @classmethod
    def of(cls, phrases: Phrases, words: Sequence[str], folder: Path | None = None) -> "Bank":
        """Embed words, or find them embedded by the same weights in ``folder``."""
        if folder is None:
            return cls(tuple(words), normalize(torch.stack([phrases.word(word) for word in words]), dim=1))
        path = folder / f"bank-{phrases.digest(words)[:16]}.safetensors"
        if path.is_file():
            return cls(tuple(words), load_file(path, device=str(phrases.encoder.device))["vectors"])
        bank = cls.of(phrases, words)
        write_atomic(path, lambda part: save_file({"vectors": bank.vectors}, part))
        return bank

    def nearest(self, subject: str, vector: Tensor, k: int) -> list[str]:
        """Return the subject and the k - 1 other words most like it by cosine, the most similar first.

        A subject from outside the bank is a candidate too, as in the authors' pipeline; it is its own nearest.
        """
        others = [i for i, word in enumerate(self.words) if word != subject]
        similarity = self.vectors[others] @ normalize(vector, dim=0)
        best = similarity.topk(min(k - 1, len(others))).indices.tolist()
        return [subject, *(self.words[others[i]] for i in best)]
