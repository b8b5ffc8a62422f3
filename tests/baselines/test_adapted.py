"""What LoRA, AdaLoRA, OFT, SVDiff and TokenCompose have in common: the contract, resuming, saving, settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from baselines.adalora.method import AdaLoRA
from baselines.adapted import Adapted
from baselines.adapted_stage import AdaptedStage
from baselines.lora.method import LoRA
from baselines.naive import Naive
from baselines.oft import OFT
from baselines.samples import as_sample
from baselines.svdiff.method import SVDiff
from baselines.tokencompose.method import TokenCompose, content
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.store import digest
from spf_bench.method import Method, TrainJob, get_method
from spf_bench.models.backbone import Backbone
from spf_bench.picture import Picture
from spf_bench.portraits import Portraits
from spf_bench.progress import Silent
from spf_bench.run.execute import train
from spf_bench.run.plan import Run
from spf_bench.run.preflight import check_settings
from spf_train.assembly import Inputs
from spf_train.checkpoint import RunFolder
from spf_train.config import StageConfig
from spf_train.data import Prepared
from spf_train.encoders import LatentEncoder
from spf_train.loop import fit
from spf_train.stages import NaiveStage
from tests.bench.conftest import BASE, backbone, frozen, installed, make_triples, planned, suite  # noqa: F401

TRIPLES = make_triples(3)
ADDING = [LoRA, AdaLoRA, OFT, SVDiff]
CHANGES = {"lora": ("rank=2",), "adalora": ("target_r=2", "init_r=3", "warmup=0"), "svdiff": ("lr_factor=10",)}
STEPS = 4


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of two of the miniature suite's four images, written as TokenCompose's own preparation does."""
    folder, pixels = tmp_path / "masks", np.zeros((64, 64, 4), dtype=np.uint8)
    folder.mkdir()
    pixels[:32, :32], pixels[..., 3] = 255, 255
    Image.fromarray(pixels).save(folder / "hair.png")
    Image.fromarray(np.zeros_like(pixels)).save(folder / "none.png")
    rows = [{"id": "s0", "attn_list": [["hair", "hair.png"], ["skin", None], ["man", "none.png"]]}]
    rows += [{"id": "s1", "attn_list": [["hair", "hair.png"], ["horse", "hair.png"], ["dark skin", "hair.png"]]}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture
def plan(planned: Callable[..., Run], masks: Path) -> Callable[..., Run]:  # noqa: F811
    """Plans a run of a method, small, in the miniature benchmark."""

    def make(kind: type[Adapted], *changes: str) -> Run:
        own = (f"masks={masks}",) if kind is TokenCompose else CHANGES.get(kind.name, ())
        return replace(planned("prompt_only"), method=kind().with_changes([*own, *changes]))

    return make


def job_of(run: Run) -> TrainJob:
    artifacts = Artifacts(run.cache, run.training)
    return TrainJob(run.suite.pipeline, run.suite.clip, run.suite, run.preset, run.seed, "cpu", artifacts, Silent())


def trained(run: Run) -> tuple[Path, dict[str, Any]]:
    artifacts = Artifacts(run.cache, run.training)
    folder = train(run, artifacts, Silent())
    assert folder is not None
    return folder, artifacts.used


def staged(run: Run) -> tuple[NaiveStage, Prepared, StageConfig]:
    """The stage of a method before its first step, its samples, and how it trains."""
    job, method = job_of(run), run.method
    assert isinstance(method, Adapted)
    how, own = method.settings(run.preset)
    how = replace(how, steps=STEPS, checkpoint_every=2)
    inputs = Inputs(job.pipeline, [as_sample(s) for s in job.samples], "cpu")
    pipe = inputs.pipeline(how)
    stage = method.stage(job, pipe, how, own)
    return stage, inputs.encoded(pipe, pipe.unet), how


@pytest.fixture
def in_files(plan: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Plans a run of a method on portraits in a folder, whose images nobody but the trainer may open."""
    folder, rng = tmp_path / "portraits", np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for i, target in enumerate(["wearing sunglasses", "with a beard"] * 2):
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append({"file_name": f"{i}.png", "base": BASE, "target": target, "category": "accessories"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(Picture, "read", lambda self: pytest.fail("decoded before it is encoded"))

    def make(method: Method) -> Run:
        run = replace(plan(OFT), method=method)
        object.__setattr__(run.suite, "trainset", lambda seed, n: Portraits.open(folder, 64).drawn(seed, n))
        return run

    return make


def predict(unet: Any, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 4, 16, 16, generator=generator)
    text = torch.randn(2, 40, 32, generator=generator)
    with torch.no_grad():
        output: torch.Tensor = unet(x, torch.tensor([10, 500]), text).sample
    return output


@pytest.mark.parametrize("kind", [*ADDING, TokenCompose])
def test_contract(plan: Callable[..., Run], backbone: Backbone, kind: type[Adapted]) -> None:  # noqa: F811
    run = plan(kind)
    method, noise = run.method, torch.stack([backbone.noise_for(triple) for triple in TRIPLES])
    digest(method.config(run.preset))  # plain JSON types
    plain = backbone.render(backbone.encode([t.prompt for t in TRIPLES]), noise)
    folder, used = trained(run)
    method.load(backbone, folder)
    images = method.sample(backbone, TRIPLES, noise)
    method.unload(backbone)
    assert images.shape == (3, 64, 64, 3) and not torch.equal(images, plain)
    assert torch.equal(backbone.render(backbone.encode([t.prompt for t in TRIPLES]), noise), plain)
    told = used[method.name]
    assert told["steps"] == 3 and told["samples_seen"] == 6 and told["trainable_parameters"] > 0
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3] and rows[0]["lr"] == method.settings(run.preset)[0].lr


@pytest.mark.parametrize("kind", ADDING)
def test_it_starts_as_the_original(plan: Callable[..., Run], kind: type[Adapted]) -> None:
    run = plan(kind)
    stage, _, _ = staged(run)
    original = UNet2DConditionModel.from_pretrained(run.suite.pipeline / "unet").train()
    torch.testing.assert_close(predict(stage.unet), predict(original), atol=1e-5, rtol=1e-5)
    frozen_ = {name for name, weight in stage.unet.named_parameters() if not weight.requires_grad}
    assert stage.trainable().keys().isdisjoint(frozen_) and len(frozen_) >= len(dict(original.named_parameters()))


@pytest.mark.parametrize("kind", ADDING)
def test_what_is_saved_predicts_as_what_was_trained(
    plan: Callable[..., Run], kind: type[Adapted], tmp_path: Path
) -> None:
    stage, prepared, how = staged(plan(kind))
    fit(stage, prepared, how, RunFolder(tmp_path / "run", {}), 0)
    original = UNet2DConditionModel.from_pretrained(plan(kind).suite.pipeline / "unet").train()
    saved = UNet2DConditionModel.from_pretrained(tmp_path / "run" / "unet").train()
    torch.testing.assert_close(predict(saved), predict(stage.unet), atol=2e-5, rtol=1e-4)
    assert (predict(saved) - predict(original)).abs().max() > 1e-3
    facts = json.loads((tmp_path / "run" / "facts.json").read_text())
    assert isinstance(stage, AdaptedStage)
    assert facts["trainable_parameters"] == sum(w.numel() for w in stage.trainable().values())
    assert facts["checkpoint_bytes"] >= 1000


@pytest.mark.parametrize("kind", [AdaLoRA, SVDiff])  # one with a memory of its own, one without
def test_a_stopped_training_goes_on_bit_for_bit(plan: Callable[..., Run], kind: type[Adapted], tmp_path: Path) -> None:
    results = []
    for name, stops in (("whole", ()), ("stopped", (2,))):
        out = tmp_path / name
        for stop in stops:
            stage, prepared, how = staged(plan(kind))
            assert not fit(stage, prepared, how, RunFolder(out, {}), 0, stop=lambda step, stop=stop: step == stop)  # type: ignore[misc]
        stage, prepared, how = staged(plan(kind))
        # A snapshot at every checkpoint must not disturb the training either.
        fit(stage, prepared, how, RunFolder(out, {}), 0, on_checkpoint=(lambda *_: None) if stops else None)
        results.append({n: w.detach().clone() for n, w in stage.trainable().items()})
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@pytest.mark.parametrize("kind", [*ADDING, TokenCompose])
def test_every_wrong_setting_is_named(plan: Callable[..., Run], kind: type[Adapted]) -> None:
    method = kind().with_changes(["lr_factor=-1", "rnak=3", "stage1.batch=2"])
    with pytest.raises(UserError) as caught:
        method.config(plan(kind).preset)
    assert "lr_factor" in str(caught.value) and "rnak" in str(caught.value) and "batch" not in str(caught.value)
    with pytest.raises(UserError, match=r"log\.validate_every  unknown setting"):  # nobody would look at it
        kind().with_changes(["log.validate_every=5"]).config(plan(kind).preset)
    with pytest.raises(UserError, match="trains stage 1"):
        kind().with_changes(["stage1.trainable=lora"]).config(plan(kind).preset)
    with pytest.raises(UserError, match=r"stage1\.bacth"):
        kind().with_changes(["stage1.bacth=2"]).config(plan(kind).preset)


def test_the_learning_rate_is_recorded_as_it_is(plan: Callable[..., Run]) -> None:
    run = plan(AdaLoRA, "lr_factor=3", "stage1.lr=1e-4")
    config = run.method.config(run.preset)
    assert config["stage1"]["lr"] == 3e-4 and "trainable" not in config["stage1"]


@pytest.mark.parametrize("kind", [LoRA, AdaLoRA, OFT])
def test_targets_that_match_nothing_are_refused_before_training(plan: Callable[..., Run], kind: type[Adapted]) -> None:
    run = plan(kind, "targets=[to_q, to_queue, qkv]")
    with pytest.raises(UserError) as caught:
        trained(run)
    assert "to_queue" in str(caught.value) and "did you mean 'to_q'" in str(caught.value) and "qkv" in str(caught.value)


def test_masks_are_made_once_and_counted_in_the_record(
    plan: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(TokenCompose)
    _, used = trained(run)
    told = used["masks"]
    assert told["provider"] == "folder" and told["grounded"] == 3
    assert (told["no_mask"], told["empty"], told["no_tokens"], told["samples_without"]) == (1, 1, 1, 2)
    monkeypatch.setattr("baselines.tokencompose.grounding.ground", lambda *_: pytest.fail("made again"))
    more = replace(run, method=run.method.with_changes(["w_token=0.01"]))
    assert trained(more)[1]["masks"]["folder"] == told["folder"]


def test_other_masks_in_the_same_folder_are_another_run(plan: Callable[..., Run], masks: Path) -> None:
    run = plan(TokenCompose)
    before = run.method.config(run.preset)
    (masks / "more.png").write_bytes((masks / "hair.png").read_bytes())
    content.cache_clear()
    assert run.method.config(run.preset)["masks_sha256"] != before["masks_sha256"]


def test_without_masks_it_says_where_they_could_come_from(plan: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for word, complaint in (("masks=null", "no masks for mini"), (f"masks={tmp_path}/empty", "holds no masks")):
        with pytest.raises(UserError, match=complaint) as caught:
            trained(plan(TokenCompose, word))
        assert "--set masks=FOLDER" in caught.value.fix
    with pytest.raises(UserError, match="no such folder"):
        plan(TokenCompose, "masks=/nowhere").method.config(plan(TokenCompose).preset)


def test_masks_are_missed_before_anything_runs(plan: Callable[..., Run], tmp_path: Path) -> None:
    class Grounded(TokenCompose):
        def masks(self, job: TrainJob, own: Any) -> Any:
            return super().masks(job, own)

    (tmp_path / "empty").mkdir()
    for word, complaint in (("masks=null", "no masks for mini"), (f"masks={tmp_path}/empty", "holds no masks")):
        run = plan(TokenCompose, word)
        with pytest.raises(UserError, match=complaint) as caught:
            check_settings([run])
        assert "--set masks=FOLDER" in caught.value.fix
        check_settings([replace(run, method=Grounded().with_changes([word]))])  # it may have masks of its own
    check_settings([plan(TokenCompose)])


def test_masks_of_other_images_ground_nothing(plan: Callable[..., Run], masks: Path) -> None:
    content.cache_clear()
    (masks / "metadata.jsonl").write_text(json.dumps({"id": "elsewhere", "attn_list": [["hair", "hair.png"]]}))
    with pytest.raises(UserError, match="nothing to ground"):
        trained(plan(TokenCompose))


def test_a_method_without_its_stage_is_refused_before_anything_trains(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text(
        "from baselines.adapted import Adapted\n\n"
        'class Half(Adapted):\n    name, title, source = "half", "Half", "nowhere"\n'
    )
    with pytest.raises(UserError, match=r"it has no stage\(\)"):
        get_method(f"{file}:Half")


def test_images_in_files_are_encoded_once_for_all_stages_and_methods(
    in_files: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    compute = LatentEncoder.compute
    monkeypatch.setattr(LatentEncoder, "compute", lambda self, items: made.append(len(items)) or compute(self, items))
    used = {}
    for method in (get_method("spf"), OFT(), OFT().with_changes(["lr_factor=2"])):
        used |= trained(in_files(method))[1]
    assert {"stage1", "stage2", "oft"} <= used.keys() and sum(made) == 4
    assert list((in_files(OFT()).cache.parent / "encodings").glob("latents-*/*.safetensors"))


@pytest.mark.parametrize("kind", [Naive, OFT, AdaLoRA, TokenCompose])
def test_texts_that_are_too_long_are_left_out_for_all_methods_alike(
    plan: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, kind: type[Method]
) -> None:
    run = plan(kind) if issubclass(kind, Adapted) else replace(plan(OFT), method=kind())
    samples = list(run.suite.trainset(0, 4))
    samples[0] = replace(samples[0], base="red " * 60)
    object.__setattr__(run.suite, "trainset", lambda seed, n: samples)
    with pytest.raises(UserError, match="1 of 4 training texts are longer") as caught:
        trained(run)
    assert [problem.subject for problem in caught.value.problems] == ["s0"] and "1% may" in caught.value.why
    monkeypatch.setattr("spf_bench.method.usable.SKIPPED", 0.25)
    job = job_of(run)
    said: list[str] = []
    monkeypatch.setattr(Silent, "note", lambda self, text: said.append(text))
    run.method.train(job)
    assert [sample.id for sample in job.samples] == ["s1", "s2", "s3"]
    assert len(said) == 1 and said[0].endswith("left out: s0")
    (told,) = [used for used in job.artifacts.used.values() if "steps" in used]
    assert told["steps"] == 3


def test_steps_are_counted_over_what_is_trained_on(plan: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = plan(OFT, "stage1.steps=null", "stage1.epochs=1", "stage1.batch=1")
    samples = list(run.suite.trainset(0, 4))
    samples[3] = replace(samples[3], target="red " * 60)
    object.__setattr__(run.suite, "trainset", lambda seed, n: samples)
    monkeypatch.setattr("spf_bench.method.usable.SKIPPED", 0.25)
    told = trained(run)[1]["oft"]
    assert told["steps"] == told["samples_seen"] == 3


@pytest.mark.parametrize("name", ["naive", "oft"])
def test_a_broken_image_stops_every_method(in_files: Callable[..., Run], name: str) -> None:
    run = in_files(OFT() if name == "oft" else get_method(name))
    file = run.suite.trainset(0, 1)[0].file
    assert file is not None
    file.write_bytes(b"no image")
    with pytest.raises(UserError, match="1 of 4 samples cannot be trained with; none may be left out") as caught:
        trained(run)
    assert caught.value.problems[0].subject == file.name


def test_images_in_memory_are_kept_nowhere(plan: Callable[..., Run]) -> None:
    run = plan(OFT)
    trained(run)
    assert not list(run.cache.parent.rglob("encodings"))
