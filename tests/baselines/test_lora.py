"""LoRA: its scale, its file, and the choice of its rank on validation triples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from baselines.lora.method import LoRA
from baselines.lora.ranks import best
from baselines.lora.settings import LoRASettings
from baselines.lora.stage import add
from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.method import TrainJob
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import train
from spf_bench.run.plan import Run
from spf_bench.suite import get_suite
from tests.bench.conftest import MiniSuite, frozen, installed, make_triples, planned, suite  # noqa: F401
from tests.tiny import tiny_unet


@pytest.mark.parametrize(("own", "scale"), [({}, 1.0), ({"alpha": 2.0}, 0.5), ({"alpha": 4.0, "rslora": True}, 2.0)])
def test_the_scale_is_alpha_over_rank(own: dict[str, Any], scale: float) -> None:
    unet = add(tiny_unet(), LoRASettings(rank=4, **own), seed=0)
    layers: list[Any] = [
        module for module in unet.modules() if hasattr(module, "lora_A") and hasattr(module, "scaling")
    ]
    assert len(layers) == 7 * 8  # four projections of self- and of cross-attention in each of seven blocks
    assert {layer.scaling["default"] for layer in layers} == {scale}


def test_the_first_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = add(tiny_unet(), LoRASettings(rank=2), seed=3)
    torch.manual_seed(2)
    again, other = (add(tiny_unet(), LoRASettings(rank=2), seed=seed) for seed in (3, 4))
    name = next(name for name, _ in first.named_parameters() if ".lora_A." in name)
    assert torch.equal(first.get_parameter(name), again.get_parameter(name))
    assert not torch.equal(first.get_parameter(name), other.get_parameter(name))


@pytest.mark.parametrize("word", ["rank=0", "rank=half", "ranks=[4, 4]", "ranks=[]", "targets=[]", "alpha=-1"])
def test_a_wrong_setting_is_refused(planned: Callable[..., Run], word: str) -> None:  # noqa: F811
    with pytest.raises(UserError) as caught:
        LoRA().with_changes([word]).config(planned("prompt_only").preset)
    assert word.split("=")[0] in str(caught.value)


def test_the_file_is_what_diffusers_loads(planned: Callable[..., Run]) -> None:  # noqa: F811
    run = replace(planned("prompt_only"), method=LoRA().with_changes(["rank=2"]))
    folder = train(run, Artifacts(run.cache, run.training), Silent())
    assert folder is not None
    pipe = StableDiffusionPipeline.from_pretrained(run.suite.pipeline, safety_checker=None)
    pipe.load_lora_weights(folder / "added")
    merged = type(pipe.unet).from_pretrained(folder / "unet")
    x, text = torch.randn(1, 4, 16, 16), torch.randn(1, 40, 32)
    with torch.no_grad():
        by_file, by_unet = (unet.eval()(x, 10, text).sample for unet in (pipe.unet, merged))
    torch.testing.assert_close(by_file, by_unet, atol=2e-5, rtol=1e-4)


def test_of_equal_scores_the_smallest_rank_is_best() -> None:
    curve = [{"rank": 8, "score": 0.5}, {"rank": 4, "score": 0.5}, {"rank": 16, "score": 0.4}]
    assert best(curve) == 4


@dataclass
class Outcome:
    """What stands in a record."""

    mean: float


@pytest.fixture
def validated(planned: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:  # noqa: F811
    """Plans a run of LoRA in a suite with validation triples, whose judges like rank 2 best."""
    asked: list[Run] = []

    def execute(run: Run, progress: object) -> RunRecord:
        asked.append(run)
        artifacts = Artifacts(run.cache / "checkpoints", run.training)
        if run.method.trains:
            train(run, artifacts, Silent())
        hit = {1: 40.0, 2: 80.0, 3: 90.0}.get(run.method.config(run.preset).get("rank", 0), 10.0)
        kept = 100.0 if hit < 90 else 30.0
        record = object.__new__(RunRecord)
        object.__setattr__(record, "run", run.folder.name)
        object.__setattr__(record, "training", artifacts.used)
        object.__setattr__(record, "scores", {"all": {"hit_rate": Outcome(hit), "kept": Outcome(kept)}})
        return record

    monkeypatch.setattr("spf_bench.run.execute.execute", execute)
    monkeypatch.setattr(MiniSuite, "validation", "mini-val", raising=False)
    testset.save(tmp_path / "testsets" / "mini-val", make_triples(3), "# mini-val\n")

    def make(seed: int, *changes: str) -> Run:
        method = LoRA().with_changes(["ranks=[1, 2, 3]", *changes])
        run = replace(planned("prompt_only"), method=method, seed=seed)
        object.__setattr__(run, "asked", asked)
        return run

    return make


def trained(run: Run) -> tuple[Path, dict[str, Any]]:
    artifacts = Artifacts(run.cache / "checkpoints", run.training)
    job = TrainJob(run.suite.pipeline, run.suite.clip, run.suite, run.preset, run.seed, "cpu", artifacts, Silent())
    return run.method.train(job), artifacts.used


def test_the_best_rank_is_chosen_on_validation_triples_and_the_curve_recorded(validated: Callable[..., Run]) -> None:
    run = validated(0, "choose_on=2")
    folder, used = trained(run)
    asked: list[Run] = run.asked  # type: ignore[attr-defined]
    assert {one.testset.name for one in asked} == {"mini-val"} and {one.limit for one in asked} == {2}
    told = used["lora-rank"]
    assert told["rank"] == used["lora"]["rank"] == 2
    assert [(point["rank"], point["kept"]) for point in told["curve"]] == [(1, 100.0), (2, 100.0), (3, 30.0)]
    response = (80 - 10) / (100 - 10)
    assert told["curve"][1]["score"] == pytest.approx(2 * response / (1 + response), abs=1e-6)
    assert "harmonic mean" in told["score"] and told["testset"] == "mini-val"
    assert folder.name == used["lora"]["folder"]


def test_all_seeds_share_one_choice(validated: Callable[..., Run]) -> None:
    first, _ = trained(validated(0))
    second, used = trained(validated(1))
    assert {run.seed for run in validated(1).asked} == {0}  # type: ignore[attr-defined]
    assert used["lora-rank"]["rank"] == 2 and first != second


def test_without_validation_triples_a_rank_is_asked_for(planned: Callable[..., Run]) -> None:  # noqa: F811
    run = replace(planned("prompt_only"), method=LoRA())
    with pytest.raises(UserError, match="best rank cannot be chosen") as caught:
        trained(run)
    assert "--set rank=16" in caught.value.fix


def test_the_choice_is_no_part_of_a_given_rank(planned: Callable[..., Run]) -> None:  # noqa: F811
    preset = planned("prompt_only").preset
    config = LoRA().with_changes(["rank=8", "choose_on=5"]).config(preset)
    assert config["rank"] == 8 and not {"ranks", "choose_on", "choose_seed"} & config.keys()
    assert "ranks" in LoRA().config(preset)


def test_ranks_are_not_compared_where_the_score_is_not_measured(
    planned: Callable[..., Run],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = planned("prompt_only")
    for suite_ in (run.suite, get_suite("paper")):
        with pytest.raises(UserError, match="best rank cannot be chosen") as caught:
            LoRA().preflight(suite_, run.preset)
        assert "--set rank=16" in caught.value.fix
        LoRA().with_changes(["rank=16"]).preflight(suite_, run.preset)
    assert "hit_rate and kept" in caught.value.why
    monkeypatch.setattr(MiniSuite, "validation", "mini-val")
    monkeypatch.setattr(MiniSuite, "lacking", lambda self, scores: [])
    LoRA().preflight(run.suite, run.preset)
