"""The learning rate over the steps of a stage."""

from __future__ import annotations

import math

from spf_train.config import StageConfig


def learning_rate(config: StageConfig, step: int, total: int) -> float:
    """The rate of step `step`, from 0, of `total`: a linear rise from lr / warmup, then the chosen schedule.

    "linear" and "cosine" fall to 0 at step `total`, which is the one after the last.
    """
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    done = min(1.0, max(0, step - config.warmup) / max(1, total - config.warmup))
    left = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
    return config.lr * rise * left[config.lr_schedule]
