"""A training set's nouns: their tokens and regions, found once, kept on disk, taken by index while training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.tokencompose.nouns import noun_positions
from baselines.tokencompose.providers import MaskProvider
from baselines.tokencompose.regions import Mask, pack, shrink, unpack
from spf_bench.suite import TrainSample

Noun = tuple[list[int], Mask]


@dataclass(frozen=True)
class Grounding:
    """Nouns of N samples, at most n each.

    tokens: which text positions belong to which noun, bool [N, n, L]; a noun of no tokens stands for none.
    bits: by resolution r, the packed regions [N, n, ...].
    """

    tokens: NDArray[np.bool_]
    bits: dict[int, NDArray[np.uint8]]

    def at(self, index: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Tokens [B, n, L] and, by resolution, regions [B, n, r, r] of samples `index` [B], on its device."""
        rows = index.cpu().numpy()
        regions = {side: unpack(bits[rows], side).to(index.device) for side, bits in self.bits.items()}
        return torch.from_numpy(self.tokens[rows]).to(index.device), regions

    def save(self, folder: Path) -> None:
        """Write one file for the tokens and one per resolution."""
        np.save(folder / "tokens.npy", self.tokens)
        for side, bits in self.bits.items():
            np.save(folder / f"regions-{side}.npy", bits)

    @classmethod
    def load(cls, folder: Path) -> Grounding:
        """Open what `save` wrote, mapped into memory."""
        files = {int(path.stem.split("-")[1]): path for path in folder.glob("regions-*.npy")}
        return cls(np.load(folder / "tokens.npy"), {side: np.load(path, "r") for side, path in sorted(files.items())})


def ground(
    samples: Sequence[TrainSample],
    provider: MaskProvider,
    tokenizer: Any,
    size: int,
    resolutions: Collection[int],
    antialias: bool = False,
    on_sample: Callable[[int], None] = lambda done: None,
) -> tuple[Grounding, dict[str, Any]]:
    """Find the nouns of all samples, and count what was found and what could not be used.

    size: side of the training images in pixels. resolutions: sides of the attention to be grounded.
    on_sample: told the number of samples done.

    Returns:
        The grounding, and its counts: nouns grounded; nouns left out because the image does not show them
        ("no_mask"), nothing is left of their mask after the crop ("empty"), or the caption's tokens do not hold them
        ("no_tokens"); samples without any; and by resolution, which share of the grounded masks touches no cell there.
    """
    counts: Counter[str] = Counter()
    sides, found = sorted(resolutions), list[list[list[int]]]()
    packed: dict[int, list[NDArray[np.uint8]]] = {side: [] for side in sides}
    for number, sample in enumerate(samples, start=1):
        nouns = _usable(sample, provider(sample, size), tokenizer, counts)
        found.append([positions for positions, _mask in nouns])
        for side in sides:  # shrunk at once: the masks of a large training set would fill any memory
            packed[side].append(_regions(nouns, side, antialias))
        on_sample(number)
    most = max(1, *map(len, found), 0)
    tokens = np.zeros((len(found), most, tokenizer.model_max_length), dtype=np.bool_)
    for row, places in enumerate(found):
        for column, positions in enumerate(places):
            tokens[row, column, positions] = True
    bits = {side: _joined(packed.pop(side), most, side) for side in sides}
    missed = {str(side): _share_of_empty(tokens, regions) for side, regions in bits.items()}
    kinds = {kind: counts[kind] for kind in ("grounded", "no_mask", "empty", "no_tokens")}
    facts = {**kinds, "samples_without": sum(not places for places in found), "empty_at": missed}
    return Grounding(tokens, bits), facts


def _usable(sample: TrainSample, masks: Any, tokenizer: Any, counts: Counter[str]) -> Sequence[Noun]:
    usable: list[Noun] = []
    for noun, mask in masks.items():
        positions = noun_positions(tokenizer, f"{sample.base}, {sample.target}", noun)
        if mask is None:
            counts["no_mask"] += 1
        elif not mask.any():
            counts["empty"] += 1
        elif positions is None or positions[-1] >= tokenizer.model_max_length - 1:  # the last one ends the text
            counts["no_tokens"] += 1
        else:
            counts["grounded"] += 1
            usable.append((positions, mask))
    return usable


def _regions(nouns: Sequence[Noun], side: int, antialias: bool) -> NDArray[np.uint8]:
    """One sample's packed regions [n, ...]."""
    masks = [mask for _positions, mask in nouns]
    if not masks:
        return pack(torch.zeros(0, side, side, dtype=torch.bool))
    return pack(shrink(torch.from_numpy(np.stack(masks)), side, antialias))


def _joined(parts: Sequence[NDArray[np.uint8]], most: int, side: int) -> NDArray[np.uint8]:
    """All samples' packed regions [N, most, ...]; those of no noun are empty."""
    joined = np.zeros((len(parts), most, (side * side + 7) // 8), dtype=np.uint8)
    for row, part in enumerate(parts):
        joined[row, : len(part)] = part
    return joined


def _share_of_empty(tokens: NDArray[np.bool_], bits: NDArray[np.uint8]) -> float:
    real = tokens.any(axis=2)
    return round(float((~np.asarray(bits.any(axis=2)))[real].mean()), 4) if real.any() else 0.0
