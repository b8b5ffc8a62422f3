"""The embedded world's masks: exact, because it knows what it drew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from baselines.tokencompose.providers import FACE_WORDS, spoken
from baselines.tokencompose.regions import Mask
from spf_bench.suite import TrainSample
from spf_bench.world.distributions import custom
from spf_bench.world.portrait import CLOTHES, Portrait, mask

GOVERNED = {
    "skin": "skin",
    "head": "skin",
    "background": "background",
    "style": "style",
    **dict.fromkeys(("hair", "afro"), "hair_style"),
    **dict.fromkeys(CLOTHES, "clothes"),
    **dict.fromkeys(("beard", "moustache"), "facial_hair"),
    **dict.fromkeys(("cheeks", "freckles"), "cheeks"),
    **dict.fromkeys(("sunglasses", "glasses", "eyepatch"), "glasses"),
    **dict.fromkeys(("winter hat", "straw hat"), "headwear"),
}
"""The world's nouns, and the attribute that governs where each is."""


class WorldMasks:
    """Ground truth for the first ``n`` customisation portraits of a seed."""

    def __init__(self, seed: int, n: int, face_words: bool = False) -> None:
        self.portraits = {f"custom-{seed}-{i:05}": sample.portrait for i, sample in enumerate(custom(n, seed))}
        self.nouns = ["man", "woman", *GOVERNED, *(FACE_WORDS if face_words else ())]
        self.facts: dict[str, Any] = {"provider": "world", "face_words": face_words}

    def __call__(self, sample: TrainSample, size: int) -> Mapping[str, Mask | None]:
        """Return the masks of every noun of the caption."""
        portrait = self.portraits[sample.id]
        return {noun: _region(portrait, noun, size) for noun in spoken(f"{sample.base}, {sample.target}", self.nouns)}


def _region(portrait: Portrait, noun: str, size: int) -> Mask:
    if noun in ("man", "woman"):
        found = ~mask(portrait, "background", size)
    elif noun in FACE_WORDS:
        found = np.logical_or.reduce([mask(portrait, name, size) for name in ("skin", "expression", "eyes")])
    else:
        found = mask(portrait, GOVERNED[noun], size)
    return found.astype(np.float32)
