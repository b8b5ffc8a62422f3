"""The optimisation loop that every model of the world is trained with: seeded, logged, resumable."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spf_bench.world.pool import Progress

Step = Callable[[int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one model is trained."""

    steps: int
    """Optimiser updates."""
    batch: int
    """Samples an update."""
    lr: float
    """Peak learning rate of AdamW; linear warm-up, then a cosine down to a fiftieth."""
    warmup: int = 100
    """Updates of warm-up."""
    weight_decay: float = 0.01
    ema: float = 0.0
    """Decay of the moving average whose weights are kept; 0 keeps the last weights."""
    clip: float = 1.0
    """Greatest norm of the gradient."""

    def rate(self, step: int) -> float:
        """The learning rate of an update, as a share of the peak."""
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))


@dataclass
class Fit:
    """Where a training runs: folder, device, seed, who is told."""

    folder: Path
    device: torch.device
    seed: int
    progress: Progress
    every: int = 100
    """Updates between two checkpoints; a training stopped in between loses at most these."""

    def run(self, name: str, model: nn.Module, schedule: Schedule, loss: Step) -> None:
        """Trains `model` in place; `loss(step, generator)` returns named terms, their sum is minimised.

        Started again after an interruption it goes on from the last checkpoint; the samples of a step
        follow from the seed and the step's number alone, so the course is the same.
        """
        state_file, log = self.folder / f"{name}.state.pt", self.folder / f"{name}.log.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=schedule.lr, betas=(0.9, 0.99), weight_decay=schedule.weight_decay)
        average = [p.detach().clone() for p in trained] if schedule.ema else []
        first = 0
        if state_file.exists():
            state = torch.load(state_file, map_location=self.device, weights_only=True)
            first = state["step"]
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            average = state["average"]
        model.train()
        for step in range(first, schedule.steps):
            begun = time.perf_counter()
            terms = self._update(step, model, trained, optimiser, schedule, loss)
            if schedule.ema:
                decay = min(schedule.ema, (step + 1) / (step + 10))
                for mean, parameter in zip(average, trained, strict=True):
                    mean.lerp_(parameter.detach(), 1 - decay)
            if step % 10 == 0:
                record = {"step": step, **terms, "seconds": round(time.perf_counter() - begun, 4)}
                with log.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            self.progress(name, step + 1, schedule.steps)
            if (step + 1) % self.every == 0 or step + 1 == schedule.steps:
                state = {
                    "step": step + 1,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "average": average,
                }
                torch.save(state, state_file.with_suffix(".partial"))
                os.replace(state_file.with_suffix(".partial"), state_file)
        for parameter, mean in zip(trained, average, strict=False):
            parameter.data.copy_(mean)
        model.eval()

    def _update(
        self,
        step: int,
        model: nn.Module,
        trained: list[nn.Parameter],
        optimiser: torch.optim.Optimizer,
        schedule: Schedule,
        loss: Step,
    ) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * schedule.rate(step)
        # bfloat16 products with fp32 weights: twice as fast on CPUs that have them, and on GPUs.
        with torch.autocast(self.device.type, torch.bfloat16):
            terms = loss(step, generator)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {total.item()} at step {step}: {terms}")
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(trained, schedule.clip)
        optimiser.step()
        return {name: round(term.item(), 5) for name, term in terms.items()}


def batch_indices(n: int, batch: int, step: int, seed: int) -> Tensor:
    """The samples of one update: epochs of seeded permutations, cut into batches [batch]."""
    per_epoch = n // batch
    epoch, place = divmod(step, per_epoch)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed * 7919 + epoch))
    return order[place * batch : (place + 1) * batch]
