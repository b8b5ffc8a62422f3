"""Settings survive JSON, and wrong ones are answered with the right one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from spf_train.config import PRESETS, SPFConfig, StageConfig, TrainConfig
from spf_train.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    config = TrainConfig.preset(name)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_missing_settings_keep_their_defaults() -> None:
    config = TrainConfig.from_dict({"stage2": {"steps": 3}, "spf": {"norm": "l2"}})
    assert config == TrainConfig(stage2=StageConfig(steps=3), spf=SPFConfig(norm="l2"))


@pytest.mark.parametrize(
    ("settings", "nearest"),
    [
        ({"stage1": {"steps": 3, "warm_up": 1}}, "warmup"),
        ({"spf": {"w_enhance": 1}}, "w_enh"),
        ({"stage1": {"learning_rate": 1}}, "known: steps, epochs"),
        ({"stage_2": None}, "stage2"),
    ],
)
def test_unknown_settings_name_the_nearest(settings: dict[str, object], nearest: str) -> None:
    with pytest.raises(ConfigError, match="unknown setting") as error:
        TrainConfig.from_dict(settings)
    assert nearest in error.value.fix


def test_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="did you mean 'world-quick'"):
        TrainConfig.preset("world-quik")


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": None},
        {"epochs": 2.0},
        {"batch": 0},
        {"batch": "8"},
        {"lr": -1e-5},
        {"caption_dropout": 1.5},
        {"ema_decay": 1.0},
        {"mixed_precision": "fp8"},
        {"trainable": "attn2"},
        {"steps": True},
    ],
)
def test_invalid_stages_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not valid"):
        replace(StageConfig(steps=1), **wrong)


def test_aligning_dropped_captions_needs_dropped_captions() -> None:
    with pytest.raises(ConfigError, match="would do nothing"):
        TrainConfig(stage2=StageConfig(steps=1), spf=SPFConfig(align_uncond=True))


def test_some_loss_has_weight() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        SPFConfig(w_diff=0, w_text=0, w_fine=0, w_enh=0)


@pytest.mark.parametrize("wrong", [{"norm": "l1"}, {"w_text": -1}, {"align_t_min": 9, "align_t_max": 8}])
def test_invalid_spf_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="not valid"):
        SPFConfig(**wrong)  # type: ignore[arg-type]


def test_epochs_become_steps() -> None:
    assert StageConfig(epochs=2, batch=8).total_steps(samples=17) == 5
    assert StageConfig(steps=3).total_steps(samples=17) == 3


def test_the_paper_preset_is_the_papers() -> None:
    paper = TrainConfig.preset("paper")
    assert paper.stage1 is not None and paper.stage2 is not None
    assert (paper.stage1.lr, paper.stage1.batch, paper.stage1.epochs) == (1e-5, 64, 2)
    assert (paper.stage2.lr, paper.stage2.batch, paper.stage2.epochs) == (5e-5, 16, 5)
    assert (paper.spf.w_text, paper.spf.w_fine, paper.spf.w_enh) == (0.2, 0.1, 0.6)
    assert paper.stage1.trainable == "all" and paper.stage2.trainable == "cross_attention"
