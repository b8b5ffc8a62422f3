"""Settings survive JSON, and wrong ones are answered with the right one, all at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spf_train.config import PRESETS, LogConfig, SPFConfig, StageConfig, TrainConfig
from spf_train.errors import ConfigError, ConfigErrors
from spf_train.overrides import resolve


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
        ({"stage1": {"steps": 3, "warm_up": 1}}, "stage1.warmup"),
        ({"spf": {"w_enhance": 1}}, "spf.w_enh"),
        ({"stage1": {"steps": 3, "learning_rate": 1}}, "known: steps, epochs"),
        ({"stage_2": None}, "stage2"),
        ({"w_enh": 1}, "spf.w_enh"),
        ({"spf": {"grad_clip": 1}}, "stage1.grad_clip"),
    ],
)
def test_unknown_settings_name_the_nearest(settings: dict[str, Any], nearest: str) -> None:
    with pytest.raises(ConfigErrors, match="unknown setting") as error:
        TrainConfig.from_dict(settings)
    assert len(error.value.problems) == 1 and nearest in error.value.problems[0].fix


def test_a_misspelt_length_is_one_problem_not_two() -> None:
    with pytest.raises(ConfigErrors) as error:
        TrainConfig.from_dict({"stage1": {"stpes": 3}})
    assert [problem.subject for problem in error.value.problems] == ["stage1.stpes"]


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
        {"lr": float("inf")},
        {"caption_dropout": 1.5},
        {"ema_decay": 1.0},
        {"mixed_precision": "fp8"},
        {"trainable": "attn2"},
        {"steps": True},
        {"betas": (0.9,)},
        {"betas": (0.9, 1.0)},
        {"lora_rank": 0},
        {"lr_schedule": "step"},
        {"warmup": -1},
    ],
)
def test_invalid_stages_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not valid"):
        replace(StageConfig(steps=1), **wrong)


def test_aligning_dropped_captions_needs_dropped_captions() -> None:
    with pytest.raises(ConfigError, match="would do nothing"):
        TrainConfig(stage2=StageConfig(steps=1), spf=SPFConfig(align_uncond=True))


@pytest.mark.parametrize("seed", [-1, 2**63, 99999999999999999999999999])
def test_seeds_are_numbers_that_torch_takes(seed: int) -> None:
    with pytest.raises(ConfigError, match=r"from 0 to 2\^63 - 1"):
        TrainConfig(seed=seed)
    assert TrainConfig(seed=2**63 - 1).seed > 0


def test_some_loss_has_weight() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        SPFConfig(w_diff=0, w_text=0, w_fine=0, w_enh=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"norm": "l1"},
        {"w_text": -1},
        {"align_t_min": 9, "align_t_max": 8},
        {"diff_area": "released", "use_sfcm": False},
    ],
)
def test_invalid_spf_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="not valid"):
        SPFConfig(**wrong)  # type: ignore[arg-type]


def test_log_settings() -> None:
    log = TrainConfig.from_dict({"log": {"validation_prompts": [["a man", "a hat"]]}}).log
    assert log.validation_prompts == (("a man", "a hat"),)
    with pytest.raises(ConfigError, match="validation_prompts"):
        LogConfig(validation_prompts=(("a man",),))  # type: ignore[arg-type]


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


@pytest.mark.parametrize("name", ["paper-fp16", "a100"])
def test_presets_for_other_gpus_make_the_papers_updates(name: str) -> None:
    paper, other = TrainConfig.preset("paper"), TrainConfig.preset(name)
    how = {"mixed_precision": "no", "micro_batch": None}
    for a, b in ((paper.stage1, other.stage1), (paper.stage2, other.stage2)):
        assert a is not None and b is not None and b.mixed_precision != "no"
        assert replace(a, **how) == replace(b, **how)  # type: ignore[arg-type]


def test_words_are_typed_and_laid_over_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: world\nspf.norm: mse\nstage2:\n  lr: 1e-5\n  mixed_precision: no\nseed: 4\n")
    config = resolve("paper", file, ["stage2.lr=2e-5", "stage2.betas=[0.8, 0.9]", "stage1=null", "spf.rescale=false"])
    world = TrainConfig.preset("world")
    assert world.stage2 is not None
    assert config.stage2 == replace(world.stage2, lr=2e-5, betas=(0.8, 0.9), mixed_precision="no")
    assert config.stage1 is None and config.seed == 4
    assert config.spf == replace(world.spf, norm="mse", rescale=False)


def test_steps_take_the_place_of_epochs() -> None:
    config = resolve("paper", None, ["stage1.steps=7", "stage2.epochs=1"])
    assert config.stage1 is not None and config.stage2 is not None
    assert (config.stage1.steps, config.stage1.epochs, config.stage2.epochs) == (7, None, 1)


def test_whole_numbers_and_others_make_equal_settings() -> None:
    one, other = resolve("world", None, ["spf.w_text=0"]), resolve("world", None, ["spf.w_text=0.0"])
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("stage1:\n  lrr: 3\n  batch: 0\nspf:\n  norm: l1\n")
    words = ["stage2.lr=fast", "batch=3", "lonely", "seed=1.5", "stage2.betas=[1,"]
    with pytest.raises(ConfigErrors) as error:
        resolve("world", file, words)
    subjects = {problem.subject for problem in error.value.problems}
    assert subjects == {
        "stage1.lrr", "stage1.batch = 0", "spf.norm = l1", "stage2.lr = fast",
        "batch", "lonely", "seed = 1.5", "stage2.betas=[1,",
    }  # fmt: skip
    assert "did you mean 'stage1.lr'?" in str(error.value) and "it must be a number" in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a: [1", "is no YAML"), ("- 1\n- 2\n", "holds no settings"), (None, "cannot read")],
)
def test_files_that_hold_no_settings(tmp_path: Path, text: str | None, complaint: str) -> None:
    file = tmp_path / "mine.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        resolve("world", file)
