"""AdaLoRA on a UNet: its loss, its schedule, its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from baselines.adalora.allocation import orthogonality
from baselines.adalora.settings import AdaLoRASettings
from baselines.adalora.stage import AdaLoRAStage, add
from baselines.merge import merged
from spf_train.checkpoint import RunFolder
from spf_train.config import StageConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.errors import ConfigError, ConfigErrors
from spf_train.loop import fit
from spf_train.stages import NaiveStage
from spf_train.train import load_stage1
from tests.tiny import tiny_unet
from tests.train.conftest import samples  # noqa: F401

STEPS = 8
OWN = AdaLoRASettings(target_r=2, init_r=3, warmup=0.0)


def staged(pipe_dir: Path, samples: list[Sample], own: AdaLoRASettings = OWN) -> tuple[AdaLoRAStage, Prepared]:  # noqa: F811
    from spf_train.config import TrainConfig

    naive, prepared = load_stage1(pipe_dir, samples[:4], TrainConfig(stage1=StageConfig(steps=1)))
    return AdaLoRAStage(naive.unet, naive.diffusion, own, STEPS, seed=0), prepared


def draw(prepared: Prepared) -> Batch:
    return prepared.batch(torch.arange(2), torch.Generator().manual_seed(0), 1000)


def test_orthogonality_is_added_and_told_apart(pipe_dir: Path, samples: list[Sample]) -> None:  # noqa: F811
    stage, prepared = staged(pipe_dir, samples)
    loss, terms = stage.loss(draw(prepared))
    diff, _ = NaiveStage(stage.unet, stage.diffusion, None).loss(draw(prepared))
    torch.testing.assert_close(terms["diff"], diff)
    torch.testing.assert_close(loss, terms["diff"] + 0.5 * terms["orth"])
    norms = []
    for name, weight in stage.unet.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            gram = weight @ weight.T if ".lora_A." in name else weight.T @ weight
            norms.append((gram - torch.eye(3)).square().sum().sqrt())
    torch.testing.assert_close(terms["orth"], torch.stack(norms).mean())
    loss.backward()
    assert all(weight.grad is not None for weight in stage.trainable().values())


def test_ranks_end_at_the_target_and_are_told(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:  # noqa: F811
    stage, prepared = staged(pipe_dir, samples)
    config = StageConfig(steps=STEPS, batch=2, lr=1e-2, ema_decay=0.9, checkpoint_every=3)
    fit(stage, prepared, config, RunFolder(tmp_path, {}), 0)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["mean_rank"] == 2 and len(facts["ranks"]) == 7 * 8
    assert len(set(facts["ranks"].values())) > 1  # some layers have more than others
    kept = {name: int((w != 0).sum()) for name, w in stage.unet.named_parameters() if ".lora_E." in name}
    assert sum(kept.values()) == sum(facts["ranks"].values())
    assert all("orth" in json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys")  # peft says so of any UNet
def test_the_saved_ranks_are_the_saved_unet(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:  # noqa: F811
    stage, prepared = staged(pipe_dir, samples)
    fit(stage, prepared, StageConfig(steps=STEPS, batch=2, lr=1e-2), RunFolder(tmp_path, {}), 0)
    fresh = PeftModel.from_pretrained(tiny_unet(), tmp_path / "added").base_model.model
    with torch.device("meta"):
        expected = type(fresh).from_config(fresh.config)
    assert merged(fresh).state_dict().keys() == expected.state_dict().keys()
    saved = type(fresh).from_pretrained(tmp_path / "unet")
    for (name, weight), other in zip(saved.named_parameters(), merged(fresh).parameters(), strict=True):
        torch.testing.assert_close(weight, other, atol=1e-5, rtol=1e-4, msg=name)


def test_pruned_ranks_matter_to_what_is_saved(pipe_dir: Path, samples: list[Sample]) -> None:  # noqa: F811
    """A rank that grew a little since it was taken away is not saved, and keeps growing."""
    stage, prepared = staged(pipe_dir, samples)
    loss, _ = stage.loss(draw(prepared))
    loss.backward()
    stage.after_step(1)
    stage.after_step(5)  # the last allocation: 8 steps, the last 4 of them final
    grown = next(w for name, w in stage.unet.named_parameters() if ".lora_E." in name)
    with torch.no_grad():
        grown.fill_(1.0)
    with stage.allocation.pruned():
        assert int(grown.count_nonzero()) == stage.allocation.ranks()[next(iter(stage.allocation.ranks()))]
    assert grown.eq(1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"init_r": 8},
        {"target_r": 0},
        {"warmup": 0.5},
        {"final": 0.0},
        {"interval": 0},
        {"orth": -1.0},
        {"beta1": 1.0},
        {"targets": ()},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigErrors, match=next(iter(wrong))):
        AdaLoRASettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("total", [2, 3, 10, 350, 5000])
def test_every_schedule_allots_at_least_once(total: int) -> None:
    found = AdaLoRASettings().schedule(total)
    assert 0 <= found["tinit"] < total - found["tfinal"] < total and found["deltaT"] >= 1
    assert add(tiny_unet(), OWN, total, 0).peft_config["default"].total_step == total


def test_one_step_is_too_few() -> None:
    with pytest.raises(ConfigError, match="cannot allot ranks"):
        add(tiny_unet(), OWN, 1, 0)


def test_it_starts_with_the_published_size_of_the_term() -> None:
    """R of fresh A and B is about the root of the rank, whatever the widths."""
    assert orthogonality(add(tiny_unet(), AdaLoRASettings(), 10, 0)).item() == pytest.approx(12**0.5, rel=0.02)
