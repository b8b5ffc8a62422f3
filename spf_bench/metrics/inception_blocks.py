"""Building blocks of the Inception network: branches of convolutions side by side.

Source: Szegedy et al., arXiv:1512.00567.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernel = int | tuple[int, int]


class Conv(NamedTuple):
    """One convolution of a branch; those with stride 2 have no padding, all others keep the size."""

    name: str
    outs: int
    kernel: Kernel = 1
    stride: int = 1


Step = Conv | tuple[Conv, ...]
"""One convolution, or several on the same input whose outputs lie side by side."""


class BasicConv2d(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, ins: int, outs: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ins, h, w] -> [B, outs, h', w'], not negative."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches on one input, side by side, and last a pooled one.

    Args:
        ins: Channels of the input.
        branches: Each a sequence of steps.
        pool: Of the last branch; followed by the convolution ``branch_pool`` where ``pooled`` is not 0.
        pooled: Channels of that convolution.
    """

    def __init__(
        self, ins: int, branches: Sequence[Sequence[Step]], pool: Callable[[Tensor], Tensor], pooled: int = 0
    ) -> None:
        super().__init__()
        self._branches, self._pool, self._pooled = branches, pool, pooled
        self.outs = sum(self._add(branch, ins) for branch in branches) + (pooled or ins)
        if pooled:
            self.branch_pool = BasicConv2d(ins, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ins, h, w] -> [B, outs, h', w']."""
        parts = [self._run(branch, x) for branch in self._branches]
        last = self._pool(x)
        return torch.cat([*parts, self.branch_pool(last) if self._pooled else last], 1)

    def _add(self, branch: Sequence[Step], width: int) -> int:
        for step in branch:
            for conv in _parallel(step):
                padding = _half(conv.kernel) if conv.stride == 1 else 0
                self.add_module(conv.name, BasicConv2d(width, conv.outs, conv.kernel, conv.stride, padding))
            width = sum(conv.outs for conv in _parallel(step))
        return width

    def _run(self, branch: Sequence[Step], x: Tensor) -> Tensor:
        for step in branch:
            x = torch.cat([self.get_submodule(conv.name)(x) for conv in _parallel(step)], 1)
        return x


def average(x: Tensor) -> Tensor:
    """Average over 3 by 3 positions; at borders over those inside."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def highest(x: Tensor) -> Tensor:
    """Maximum over 3 by 3 positions."""
    return F.max_pool2d(x, 3, 1, 1)


def halve(x: Tensor) -> Tensor:
    """Maximum over 3 by 3 positions, every second one."""
    return F.max_pool2d(x, 3, 2)


def _parallel(step: Step) -> tuple[Conv, ...]:
    return (step,) if isinstance(step, Conv) else step


def _half(kernel: Kernel) -> Kernel:
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
