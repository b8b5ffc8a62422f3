"""The world's metrics over untrained networks: every path is real, only the weights mean nothing."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPModel

from spf_bench.metrics import for_suite
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.metrics.mps import MPSModel
from spf_bench.world.judge import Judge
from tests.tiny import tiny_clip

CONDITION = "skin, hair, background, smiling"


def tiny_mps(folder: Path) -> Path:
    """An untrained MPS with tokenizer and image processor."""
    clip = CLIPModel.from_pretrained(tiny_clip(folder, seed=3))
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    MPSModel.create(clip, layers=2, heads=2, dim_head=8, condition=CONDITION).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def world_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the networks that the world's metrics load."""
    root = tmp_path_factory.mktemp("judges")
    torch.manual_seed(0)
    Judge(widths=(8, 8, 16, 16)).save_pretrained(root / "judge")
    clips = {name: tiny_clip(root / name, seed=seed) for name, seed in (("judge_clip", 1), ("hps", 2))}
    return {"judge": root / "judge", "mps": tiny_mps(root / "mps"), **clips}


@pytest.fixture
def world_metrics(world_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> list[Metric | SetMetric]:
    """The metrics as `for_suite("world")` makes them."""
    monkeypatch.setattr("spf_bench.world.assets.folder", world_folders.__getitem__)
    return for_suite("world", "cpu")
