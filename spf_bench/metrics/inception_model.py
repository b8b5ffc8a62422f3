"""The Inception network behind FID: the TensorFlow graph of 2015-12-05, not torchvision's Inception v3.

It differs from Szegedy et al., arXiv:1512.00567, as published elsewhere: averages at borders count only what is
inside, and the last block pools by maximum. Names of parameters are those of the published PyTorch file.
"""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from spf_bench.metrics.inception_blocks import BasicConv2d, Conv, Kernel, Mixed, Step, average, halve, highest

Block = tuple[Sequence[Sequence[Step]], Callable[[Tensor], Tensor], int]
"""Branches, pool and channels of the pooled branch."""


class Inception(nn.Module):
    """Pixels [B, 3, 299, 299] in [-1, 1] -> pooled features [B, 2048], not negative."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, 3)
        ins = 192
        self._mixed = list(MIXED)
        for name, (branches, pool, pooled) in MIXED.items():
            block = Mixed(ins, branches, pool, pooled)
            self.add_module(name, block)
            ins = block.outs

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the features under the classifier, averaged over positions."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pixels)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name in self._mixed:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))


def _fine(pooled: int) -> Block:
    five = (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, 5))
    double = (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3))
    return ((Conv("branch1x1", 64),), five, double), average, pooled


def _middle(width: int) -> Block:
    across, down = (1, 7), (7, 1)
    single = (Conv("branch7x7_1", width), Conv("branch7x7_2", width, across), Conv("branch7x7_3", 192, down))
    shapes: list[tuple[int, Kernel]] = [(width, 1), (width, down), (width, across), (width, down), (192, across)]
    double = tuple(Conv(f"branch7x7dbl_{i}", outs, kernel) for i, (outs, kernel) in enumerate(shapes, start=1))
    return ((Conv("branch1x1", 192),), single, double), average, 192


def _coarse(pool: Callable[[Tensor], Tensor]) -> Block:
    def split(name: str) -> Step:
        return Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))

    single = (Conv("branch3x3_1", 384), split("branch3x3_2"))
    double = (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, 3), split("branch3x3dbl_3"))
    return ((Conv("branch1x1", 320),), single, double), pool, 192


def _shrink_fine() -> Block:
    double = (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3, 2))
    return ((Conv("branch3x3", 384, 3, 2),), double), halve, 0


def _shrink_middle() -> Block:
    shapes: list[tuple[int, Kernel]] = [(192, 1), (192, (1, 7)), (192, (7, 1))]
    seven = tuple(Conv(f"branch7x7x3_{i}", outs, kernel) for i, (outs, kernel) in enumerate(shapes, start=1))
    three = (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, 3, 2))
    return (three, (*seven, Conv("branch7x7x3_4", 192, 3, 2))), halve, 0


MIXED: dict[str, Block] = {
    "Mixed_5b": _fine(32),
    "Mixed_5c": _fine(64),
    "Mixed_5d": _fine(64),
    "Mixed_6a": _shrink_fine(),
    "Mixed_6b": _middle(128),
    "Mixed_6c": _middle(160),
    "Mixed_6d": _middle(160),
    "Mixed_6e": _middle(192),
    "Mixed_7a": _shrink_middle(),
    "Mixed_7b": _coarse(average),
    "Mixed_7c": _coarse(highest),
}
"""The blocks of the network in order, after Fig. 5, 6 and 7 of arXiv:1512.00567."""
