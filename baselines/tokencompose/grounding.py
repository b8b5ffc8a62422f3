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
    found: list[list[Noun]] = []
    for number, sample in enumerate(samples, start=1):
        found.append(list(_usable(sample, provider(sample, size), tokenizer, counts)))
        on_sample(number)
    most = max(1, *map(len, found), 0)
    tokens = np.zeros((len(found), most, tokenizer.model_max_length), dtype=np.bool_)
    for row, nouns in enumerate(found):
        for column, (positions, _mask) in enumerate(nouns):
            tokens[row, column, positions] = True
    regions = {side: _regions(found, most, side, antialias) for side in sorted(resolutions)}
    missed = {str(side): _share_of_empty(tokens, region) for side, region in regions.items()}
    kinds = {kind: counts[kind] for kind in ("grounded", "no_mask", "empty", "no_tokens")}
    facts = {**kinds, "samples_without": sum(not nouns for nouns in found), "empty_at": missed}
    return Grounding(tokens, {side: pack(region) for side, region in regions.items()}), facts


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


def _regions(found: Sequence[Sequence[Noun]], most: int, side: int, antialias: bool) -> Tensor:
    regions = torch.zeros(len(found), most, side, side, dtype=torch.bool)
    for row, nouns in enumerate(found):
        if nouns:
            masks = torch.from_numpy(np.stack([mask for _positions, mask in nouns]))
            regions[row, : len(nouns)] = shrink(masks, side, antialias)
    return regions


def _share_of_empty(tokens: NDArray[np.bool_], regions: Tensor) -> float:
    real = torch.from_numpy(tokens).any(dim=2)
    return round(float((~regions.flatten(2).any(dim=2))[real].float().mean()), 4) if real.any() else 0.0
