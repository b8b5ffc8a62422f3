"""What peft leaves to the caller of AdaLoRA outside its own wrapper's forward pass (Sec. 3 of arXiv:2303.10512).

The orthogonality term, which a UNet's output has no loss to be added to; the allocator, called after each update;
and the allocator's memory, which no checkpoint of peft's holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Pattern = dict[str, list[bool]]


def orthogonality(model: nn.Module) -> Tensor:
    """R, a scalar: the mean of ‖A Aᵀ - I‖ and ‖Bᵀ B - I‖, norms not squared, over all A [r, in] and B [out, r]."""
    with torch.autocast(next(model.parameters()).device.type, enabled=False):  # I is not to be lost in rounding
        norms = [_distance(weight @ weight.T) for weight in _matrices(model, "lora_A")]
        norms += [_distance(weight.T @ weight) for weight in _matrices(model, "lora_B")]
        return torch.stack(norms).mean()


def _matrices(model: nn.Module, kind: str) -> Iterator[Tensor]:
    return (weight for name, weight in model.named_parameters() if f".{kind}." in name)


def _distance(gram: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device))
    return distance


class Allocation:
    """Drives the allocator of a peft AdaLoraModel, and can be saved.

    tuner: the AdaLoraModel, `get_peft_model(...).base_model`.
    """

    def __init__(self, tuner: Any) -> None:
        self.tuner = tuner
        self.allocator = tuner.rankallocator
        self.config = tuner.peft_config[tuner.trainable_adapter_name]

    def update(self, step: int) -> None:
        """Call after optimiser step `step`, counted from 0, while its gradients are still there.

        Gradients that overflowed moved no weight, and would poison the averages for good: they are left out of them.
        """
        if self._finite():
            self.tuner.update_and_allocate(step)
        elif self.allocator.exp_avg_ipt or self.pattern:
            with self._averages_kept():
                self.tuner.update_and_allocate(step)

    @property
    def pattern(self) -> Pattern:
        """Which ranks of each layer are kept, by the name of its E; empty before the first allocation."""
        return dict(self.config.rank_pattern or {})

    def ranks(self) -> dict[str, int]:
        """The rank of every layer, by its name."""
        initial = {
            name.split(".lora_E")[0]: len(weight)
            for name, weight in self.tuner.model.named_parameters()
            if ".lora_E." in name
        }
        return initial | {name.split(".lora_E")[0]: sum(kept) for name, kept in self.pattern.items()}

    @contextmanager
    def pruned(self) -> Iterator[None]:
        """Context in which what is not kept is 0: it grows a little between allocations, and in a moving average."""
        named = {name: weight for name, weight in self.tuner.model.named_parameters() if ".lora_E." in name}
        grown = {name: weight.detach().clone() for name, weight in named.items()}
        if self.pattern:
            self.allocator.mask_using_rank_pattern(self.tuner.model, self.pattern)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in grown.items():
                    named[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """The averages Ī and U by weight, and the pattern."""
        allocator = self.allocator
        return {"mean": dict(allocator.exp_avg_ipt), "spread": dict(allocator.exp_avg_unc), "pattern": self.pattern}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        devices = {name: weight.device for name, weight in self.tuner.model.named_parameters()}
        mean, spread = (
            {name: value.to(devices[name]) for name, value in state[kind].items()} for kind in ("mean", "spread")
        )
        self.allocator.exp_avg_ipt, self.allocator.exp_avg_unc = mean, spread
        # A weight without an entry here would have its averages begun anew.
        self.allocator.ipt = {name: torch.zeros_like(value) for name, value in mean.items()}
        self.config.rank_pattern = dict(state["pattern"]) or None

    def _finite(self) -> bool:
        gradients = [weight.grad for weight in self.tuner.model.parameters() if weight.grad is not None]
        return bool(torch.nn.utils.get_total_norm(gradients).isfinite())

    @contextmanager
    def _averages_kept(self) -> Iterator[None]:
        self.allocator.update_ipt = lambda model: None
        try:
            yield
        finally:
            del self.allocator.update_ipt
