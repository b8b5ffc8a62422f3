"""Where a training image's nouns are: the world's ground truth, a face parser's label maps, or a PNG per noun."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from baselines.tokencompose.regions import Mask, crop_mask, read_mask
from spf_bench.errors import UserError
from spf_bench.method import TrainJob
from spf_bench.suite import Suite, TrainSample

INDEX, LABELS = "metadata.jsonl", "labels.json"
FACE_WORDS = ("smiling", "frowning", "serious", "sad", "surprised", "laughing", "young", "old", "middle-aged")
"""What portraits are said to be without a noun of its own."""


class MaskProvider(Protocol):
    """Finds the regions of a caption's nouns in its image; an own one is passed to `ground`."""

    facts: dict[str, Any]
    """What a record tells of it, as plain JSON types."""

    def __call__(self, sample: TrainSample, size: int) -> Mapping[str, Mask | None]:
        """Return each noun's mask [size, size] in [0, 1]; None where the image does not show it."""
        ...


def provider_for(job: TrainJob, masks: str | None, face_words: bool) -> MaskProvider:
    """Return where a job's masks come from: a folder, or the suite itself, which knows what it drew.

    Raises:
        UserError: As `check` does.
    """
    check(job.suite, masks)
    if masks is None:
        from baselines.tokencompose.world import WorldMasks

        return WorldMasks(job.seed, job.preset.samples, face_words)
    folder = Path(masks)
    return MaskFolder(folder) if (folder / INDEX).is_file() else FaceParser(folder, face_words)


def check(suite: Suite, masks: str | None) -> None:
    """See to it that there are masks.

    Raises:
        UserError: The suite knows none and no folder is given, or the folder holds none.
    """
    fix = "--set masks=FOLDER, of PNGs by a segmenter or a face parser; see docs/baselines.md"
    if masks is None and suite.name != "world":
        raise UserError(f"TokenCompose has no masks for {suite.name}", "it grounds nouns in regions", fix)
    if masks is not None and not (Path(masks) / INDEX).is_file() and not any(Path(masks).glob("*.png")):
        raise UserError(f"{masks} holds no masks", f"neither {INDEX} nor label maps", fix)


def spoken(caption: str, nouns: Iterable[str]) -> list[str]:
    """Return which of the nouns a caption says as words of their own, the longest that fit, in its order."""
    longest = sorted(nouns, key=len, reverse=True)
    found = re.finditer(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", caption.lower())
    return list(dict.fromkeys(match.group() for match in found))


class MaskFolder:
    """One PNG per image and noun, as TokenCompose's own preparation writes them (GroundingDINO and SAM).

    metadata.jsonl has a line per image: ``{"id": ..., "attn_list": [[noun, "path.png" or null], ...]}``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = [json.loads(line) for line in (folder / INDEX).read_text("utf-8").splitlines() if line.strip()]
        self.listed = {str(row["id"]): row["attn_list"] for row in rows}
        self.facts: dict[str, Any] = {"provider": "folder"}

    def __call__(self, sample: TrainSample, size: int) -> Mapping[str, Mask | None]:
        """Return the masks of one image; an image that is not listed has none."""
        pairs = self.listed.get(sample.id, [])
        return {noun: None if path is None else read_mask(self.folder / path, size) for noun, path in pairs}


CELEBA = [
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
]
"""Labels of CelebAMask-HQ in their order; labels.json names another parser's."""
_FACE = ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
_PERSON = tuple(name for name in CELEBA if name != "background")
_CLOTHES = (
    "shirt t-shirt blouse sweater hoodie jacket blazer coat suit dress scarf turtleneck vest overalls tie uniform"
)
LEXICON: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("man", "woman", "person", "boy", "girl"), _PERSON),
    **dict.fromkeys(("face", "freckles", "makeup", "cheeks"), _FACE),
    **dict.fromkeys(("hair", "bangs", "ponytail", "afro", "braids", "bun", "curls"), ("hair",)),
    **dict.fromkeys(("glasses", "eyeglasses", "sunglasses"), ("eye_g",)),
    **dict.fromkeys(("lips", "lipstick"), ("u_lip", "l_lip")),
    **dict.fromkeys(("mouth", "teeth", "smile"), ("mouth", "u_lip", "l_lip")),
    **dict.fromkeys(("earring", "earrings"), ("ear_r",)),
    **dict.fromkeys(("ears", "ear"), ("l_ear", "r_ear")),
    **dict.fromkeys(("eyes", "eyeshadow", "eyeliner"), ("l_eye", "r_eye")),
    **dict.fromkeys(("eyebrows", "brows"), ("l_brow", "r_brow")),
    **dict.fromkeys(("hat", "cap", "beanie", "crown", "helmet", "headband"), ("hat",)),
    **dict.fromkeys(("necklace", "pendant"), ("neck_l",)),
    **dict.fromkeys(_CLOTHES.split(), ("cloth",)),
    **{name: (name,) for name in ("skin", "nose", "neck", "background")},
}
"""Nouns of portraits and the labels they cover; a beard has no label, so it is not grounded here."""


class FaceParser:
    """Label maps ``<image id>.png`` of any face parser, with the labels of CelebAMask-HQ or those in labels.json."""

    def __init__(self, folder: Path, face_words: bool = False) -> None:
        self.folder = folder
        own = folder / LABELS
        self.labels: list[str] = json.loads(own.read_text()) if own.is_file() else CELEBA
        words = dict.fromkeys(FACE_WORDS, _FACE) if face_words else {}
        self.lexicon = {**LEXICON, **words}
        self.facts: dict[str, Any] = {"provider": "parser", "labels": self.labels, "face_words": face_words}

    def __call__(self, sample: TrainSample, size: int) -> Mapping[str, Mask | None]:
        """Return the masks of the nouns whose labels the parser knows."""
        path = self.folder / f"{sample.id}.png"
        nouns = spoken(f"{sample.base}, {sample.target}", self.lexicon)
        if not path.is_file():
            return dict.fromkeys(nouns)
        with Image.open(path) as image:
            labels = np.asarray(image)
        return {noun: self._mask(labels, self.lexicon[noun], size) for noun in nouns}

    def _mask(self, labels: Any, names: Iterable[str], size: int) -> Mask:
        indices = [self.labels.index(name) for name in names if name in self.labels]
        return crop_mask(np.isin(labels, indices).astype(np.float32), size)
