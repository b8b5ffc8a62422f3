"""One optimiser step: batch, precision, accumulated gradient, clipping, moving average, state."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from spf_train.accumulation import Parts
from spf_train.config import StageConfig
from spf_train.data import Batch, Prepared
from spf_train.ema import MovingAverage
from spf_train.errors import ConfigError, NonFiniteLossError
from spf_train.memory import FIX, first_line
from spf_train.order import derive, sample_order
from spf_train.processes import Processes
from spf_train.schedule import learning_rate
from spf_train.stages import Stage

log = logging.getLogger(__name__)
AUTOCAST = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


class Trainer:
    """Trains the weights of one stage; `step` counts the optimiser steps taken, of `total`.

    Each process computes its share of every batch. The shares' losses and gradients are summed, each weighted by its
    samples, so that all processes make the same update, and the same as one process would, up to rounding. (No
    wrapper such as DistributedDataParallel: a stage runs its networks as it likes.)

    Raises ConfigError if the stage trains nothing, the device cannot train in the wanted precision, or the batch has
    fewer samples than there are processes.
    """

    def __init__(
        self,
        stage: Stage,
        prepared: Prepared,
        config: StageConfig,
        seed: int,
        processes: Processes | None = None,
    ) -> None:
        self.stage, self.prepared, self.config, self.seed = stage, prepared, config, seed
        self.processes = processes or Processes()
        self.weights = stage.trainable()
        if not self.weights:
            raise ConfigError("there is nothing to train", "the stage names no weights", "change trainable")
        self.device = next(iter(self.weights.values())).device
        self.autocast_dtype = AUTOCAST[config.mixed_precision]
        if self.autocast_dtype == torch.float16 and self.device.type != "cuda":
            raise ConfigError("cannot train in fp16", f"the device is {self.device.type}", "use bf16")
        if config.batch < self.processes.world:
            why = f"a batch of {config.batch} cannot be split over {self.processes.world} processes"
            raise ConfigError("cannot share the work", why, "raise batch, or start fewer processes")
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), config.lr, config.betas, weight_decay=config.weight_decay, fused=True
        )
        # Gradients in fp16 underflow unless the loss is scaled up; bf16 and fp32 have the range.
        scales = self.autocast_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scales)
        self.average = None if config.ema_decay is None else MovingAverage(self.weights, config.ema_decay)
        self.total = config.total_steps(len(prepared))
        if config.warmup >= self.total and self.processes.main:
            log.warning("warmup = %d: in %d steps the learning rate only rises", config.warmup, self.total)
        self.parts = Parts(config.micro_batch)
        self.step = 0

    def take_step(self) -> dict[str, float]:
        """One optimiser step; returns its loss terms, gradient norm, learning rate and seconds.

        And "passes", the forward passes of all processes, where memory forced more of them than the settings ask for;
        in place of the norm "skipped", 1, where the gradient overflowed fp16 and the weights stayed as they were.
        """
        started = time.perf_counter()
        terms = self.collect(self.gradient())
        self.check_finite(terms)
        if terms["passes"] <= self.parts.planned_passes(self.config.batch, self.processes.world):
            del terms["passes"]
        try:
            terms |= self.update() | {"lr": self.lr()}
        except torch.OutOfMemoryError as error:
            raise ConfigError("the update itself does not fit the device's memory", first_line(error), FIX) from error
        self.step += 1
        self.stage.after_step(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.step)
        return terms | {"seconds": time.perf_counter() - started}

    def gradient(self) -> dict[str, Tensor]:
        """Leaves the gradient of this process's share of the batch; returns its terms and its forward passes."""
        sums: dict[str, Tensor] = {}

        def begin() -> None:
            sums.clear()
            self.optimizer.zero_grad(set_to_none=True)
            name = "model" if self.processes.main else f"model {self.processes.rank}"
            torch.manual_seed(derive(self.seed, name, self.step))

        def add(part: Batch) -> None:
            self.accumulate(part, len(part) / self.config.batch, sums)

        passes = self.parts.go_through(self.next_batch(), begin, add, f"step {self.step + 1}")
        return sums | {"passes": torch.tensor(float(passes), dtype=torch.double, device=self.device)}

    def next_batch(self) -> Batch:
        """This process's share of the current step's batch, on the device."""
        index = sample_order(self.seed, self.step, self.config.batch, len(self.prepared))
        generator = torch.Generator().manual_seed(derive(self.seed, "noise", self.step))
        share = self.processes.share(len(index))
        timesteps = self.stage.diffusion.timesteps
        batch = self.prepared.batch(index, generator, timesteps, self.config.caption_dropout, share)
        return batch.map(lambda tensor: tensor.to(self.device))

    def accumulate(self, part: Batch, share: float, sums: dict[str, Tensor]) -> None:
        """Adds the gradient of a part of the batch, and its terms, weighted by its share of the samples."""
        with self.autocast():
            loss, parts = self.stage.loss(part)
        for name, value in {"loss": loss, **parts}.items():
            weighted = share * value.detach().double()  # read at the end of the step: reading waits for the GPU
            sums[name] = sums[name] + weighted if name in sums else weighted
        torch.autograd.backward(self.scaler.scale(share * loss))

    def autocast(self) -> torch.autocast:
        """Context in which networks compute in the wanted precision."""
        return torch.autocast(self.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)

    def collect(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """The terms of the whole batch, summed over all processes."""
        total = self.processes.sum(torch.stack(list(sums.values())))
        return dict(zip(sums, total.tolist(), strict=True))

    def update(self) -> dict[str, float]:
        """Clips the gradient and moves the weights; returns the gradient's L2 norm before clipping, or "skipped"."""
        self.processes.sum_gradients(self.weights.values())
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if self.config.grad_clip is None else self.config.grad_clip
        norm = torch.nn.utils.clip_grad_norm_(list(self.weights.values()), limit).item()
        if not self.scaler.is_enabled():  # the scaler itself skips a step that overflowed
            self.check_finite({"grad_norm": norm})
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < 1:  # skipped again and again: no scale helps
            self.check_finite({"grad_norm": math.inf})
        return {"grad_norm": norm} if math.isfinite(norm) else {"skipped": 1.0}  # JSON has no infinity

    def lr(self) -> float:
        """The learning rate of the current step."""
        return learning_rate(self.config, self.step, self.total)

    def check_finite(self, terms: dict[str, float]) -> None:
        """Raises NonFiniteLossError naming the terms that are NaN or infinite."""
        broken = [f"{name} is {value}" for name, value in terms.items() if not math.isfinite(value)]
        if broken:
            what = f"training stopped at step {self.step + 1}: {', '.join(broken)}"
            why = "the weights diverged, or half precision overflowed"
            raise NonFiniteLossError(what, why, "lower lr or raise warmup; the last checkpoint is intact")

    def averaged(self) -> AbstractContextManager[None]:
        """Context in which the weights are their moving average, where one is kept."""
        return nullcontext() if self.average is None else self.average.applied()

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs; the data order and the noise follow from `step`."""
        return {
            "step": self.step,
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": {} if self.average is None else self.average.average,
            "micro_batch": self.parts.size,
            "stage": self.stage.state(),
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Continues where `state` was taken."""
        self.step, self.parts.size = state["step"], state.get("micro_batch", self.parts.size)
        for name, value in state["weights"].items():
            self.weights[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load(state["average"])
        self.stage.load_state(state["stage"])
