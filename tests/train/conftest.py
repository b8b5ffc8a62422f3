"""Samples and stages for the trainer's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from spf_train.config import SPFConfig, StageConfig, TrainConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.dual_path import DualPathStage
from spf_train.train import load_stage2
from tests.tiny import CAPTIONS, tiny_unet

TARGETS = ("with a beard", "wearing sunglasses", "pencil sketch style", "rosy cheeks")
MakeStage = Callable[..., tuple[DualPathStage, Prepared]]


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    """Twelve noise images with captions of different length and number of phrases."""
    rng = np.random.default_rng(0)
    bases = (*CAPTIONS[:3], "a man")
    images = rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    return [Sample(image, bases[i % 4], TARGETS[i % 3]) for i, image in enumerate(images)]


@pytest.fixture(scope="session")
def start_unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A UNet other than the pipeline's, as stage 1 would leave one."""
    folder = tmp_path_factory.mktemp("start")
    tiny_unet(seed=7).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_stage(pipe_dir: Path, clip_dir: Path, start_unet: Path, samples: list[Sample]) -> MakeStage:
    """make_stage(from_stage1=True, **spf settings): a fresh stage 2, and the samples encoded for it."""

    def make(from_stage1: bool = True, **spf: object) -> tuple[DualPathStage, Prepared]:
        how = StageConfig(steps=1, trainable="cross_attention", caption_dropout=0.1)
        config = TrainConfig(stage2=how, spf=SPFConfig(**spf))  # type: ignore[arg-type]
        return load_stage2(pipe_dir, clip_dir, start_unet if from_stage1 else None, samples, config)

    return make


def draw(prepared: Prepared, size: int = 4, dropout: float = 0.0, seed: int = 0) -> Batch:
    """The first `size` samples with noise of one seed."""
    return prepared.batch(torch.arange(size), torch.Generator().manual_seed(seed), 1000, dropout)
