"""Phrases as a pipeline's text encoder sees each of them on its own."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


class Phrases:
    """Embeds phrases, each alone, so that none depends on its company in a batch; keeps what it has embedded.

    Args:
        tokenizer: A CLIPTokenizer.
        encoder: Its CLIPTextModel, width D, reading L tokens.
    """

    def __init__(self, tokenizer: Any, encoder: Any) -> None:
        self.tokenizer, self.encoder = tokenizer, encoder
        self._lengths: dict[str, int] = {}
        self._words: dict[str, Tensor] = {}
        self._drifts: dict[str, float] = {}

    def length(self, text: str) -> int:
        """Return how many tokens a text has, without those of start and end."""
        if text not in self._lengths:
            self._lengths[text] = len(self.tokenizer(text, add_special_tokens=False).input_ids)
        return self._lengths[text]

    def word(self, phrase: str) -> Tensor:
        """Return the embedding [D] float32 of a phrase's last token, w(s) in the paper's terms.

        The encoder is causal: what follows, padding included, does not change it and is left out.
        """
        if phrase not in self._words:
            self._words[phrase] = self._states(phrase, padded=False)[-2].float()
        return self._words[phrase]

    def drift(self, phrase: str) -> float:
        """Return omega in [-1, 1]: the cosine of the first end token and the last position of the padded phrase."""
        if phrase not in self._drifts:
            states = self._states(phrase, padded=True).float()
            self._drifts[phrase] = float(cosine_similarity(states[self.length(phrase) + 1], states[-1], dim=0))
        return self._drifts[phrase]

    def digest(self, texts: Iterable[str]) -> str:
        """Return a SHA-256 over the encoder's weights and the tokens of ``texts``."""
        digest = hashlib.sha256(str(self.tokenizer(list(texts)).input_ids).encode())
        for name, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tensor.device.type}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @torch.inference_mode()
    def _states(self, phrase: str, padded: bool) -> Tensor:
        """Return the hidden states [L, D], after the final layer norm."""
        padding = {"padding": "max_length", "max_length": self.tokenizer.model_max_length} if padded else {}
        tokens = self.tokenizer(phrase, return_tensors="pt", **padding).to(self.encoder.device)
        mask = tokens.attention_mask if getattr(self.encoder.config, "use_attention_mask", False) else None
        return self.encoder(tokens.input_ids, attention_mask=mask)[0][0]
