"""Base models: one pipeline as a folder, a folder of 16 bits, or a file; what is none is refused in words."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from spf_bench.errors import UserError
from spf_bench.models import base_model
from spf_bench.models.backbone import SCHEDULERS, Backbone
from spf_bench.models.base_model import load_pipeline
from spf_bench.suite import Sampling
from spf_train.layout import to_single_file
from spf_train.single_file import load_single_file
from tests.bench.conftest import BASE

PARTS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def pipe(pipe_dir: Path) -> Any:
    """The toy pipeline as diffusers loads it."""
    return StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)


def single_file(
    pipe: Any,
    path: Path,
    metadata: dict[str, str] | None = None,
    leave_out: str = "-",
    markers: tuple[str, ...] = (),
) -> Path:
    """Write a pipeline as one file in the original layout, with empty tensors of the names in ``markers``."""
    weights = {key: value.contiguous() for key, value in to_single_file(pipe).items() if leave_out not in key}
    save_file(weights | {name: torch.empty(0) for name in markers}, path, metadata)
    return path


def equal(one: Any, other: Any) -> bool:
    """Whether two pipelines have the same weights."""
    for part in PARTS:
        mine, theirs = getattr(one, part).state_dict(), getattr(other, part).state_dict()
        if mine.keys() != theirs.keys() or not all(torch.equal(mine[key], theirs[key]) for key in mine):
            return False
    return True


def test_a_single_file_is_the_folder_it_was_made_of(pipe: Any, pipe_dir: Path, tmp_path: Path) -> None:
    found = load_pipeline(single_file(pipe, tmp_path / "m.safetensors"), layout=pipe_dir)
    assert equal(found, pipe) and equal(load_pipeline(pipe_dir), pipe)
    assert found.tokenizer(BASE).input_ids == pipe.tokenizer(BASE).input_ids
    assert found.scheduler.config.prediction_type == "epsilon"


@pytest.mark.parametrize(
    ("metadata", "markers", "expected"),
    [
        ({"modelspec.prediction_type": "v"}, (), {"prediction_type": "v_prediction"}),
        ({"modelspec.prediction_type": "epsilon"}, (), {}),
        ({"modelspec.prediction_type": "sample"}, (), {"prediction_type": "sample"}),
        (None, ("v_pred",), {"prediction_type": "v_prediction"}),
        (None, ("v_pred", "ztsnr"), {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}),
    ],
)
def test_a_file_says_what_it_predicts(
    pipe: Any,
    pipe_dir: Path,
    tmp_path: Path,
    metadata: dict[str, str] | None,
    markers: tuple[str, ...],
    expected: dict[str, Any],
) -> None:
    """By its metadata or by empty tensors, and to the benchmark what it says to the trainer."""
    path = single_file(pipe, tmp_path / "v.safetensors", metadata, markers=markers)
    scheduler = load_pipeline(path, layout=pipe_dir).scheduler.config
    expected = {"prediction_type": "epsilon", "rescale_betas_zero_snr": False} | expected
    trained = load_single_file(path, pipe_dir).scheduler.config
    assert {name: scheduler[name] for name in expected} == expected == {name: trained[name] for name in expected}


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_a_file_of_zero_terminal_snr_is_sampled(pipe: Any, pipe_dir: Path, tmp_path: Path, sampler: str) -> None:
    path = single_file(pipe, tmp_path / "v.safetensors", markers=("v_pred", "ztsnr"))
    scheduler = SCHEDULERS[sampler](load_pipeline(path, layout=pipe_dir).scheduler.config)
    assert scheduler.config.prediction_type == "v_prediction" and scheduler.alphas_cumprod[-1] < 1e-6
    scheduler.set_timesteps(4)
    latents = torch.ones(1, 4, 2, 2)
    for t in scheduler.timesteps:
        latents = scheduler.step(torch.ones(1, 4, 2, 2), t, latents).prev_sample
    assert latents.isfinite().all()


def test_a_folder_of_sixteen_bits_is_enough(pipe: Any, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path, variant="fp16")
    assert equal(load_pipeline(tmp_path), pipe)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sampling_decides_the_precision(pipe_dir: Path, dtype: str) -> None:
    backbone = Backbone.from_folder(pipe_dir, Sampling("dpmsolver++2m", steps=2, guidance=4.0, dtype=dtype))
    assert backbone.image_size == 64 and backbone.unet.dtype == getattr(torch, dtype)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert backbone.render(backbone.encode([BASE]), noise).shape == (1, 64, 64, 3)


def test_the_shipped_layout_is_stable_diffusions() -> None:
    unet = json.loads((base_model.SD15 / "unet" / "config.json").read_text())
    assert unet["cross_attention_dim"] == 768 and unet["sample_size"] == 64
    assert json.loads((base_model.SD15 / "model_index.json").read_text())["_class_name"] == base_model.FAMILY


def test_what_is_no_base_model_is_refused(pipe: Any, pipe_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.ckpt").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    xl, gap = (shutil.copytree(pipe_dir, tmp_path / name) for name in ("xl", "gap"))
    (xl / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    shutil.rmtree(gap / "vae")
    expected = {
        "empty": "no model_index.json",
        "model.ckpt": "can run code",
        "cut.safetensors": "cannot load the base model",
        "xl": "StableDiffusionXLPipeline",
        "gap": "cannot load the base model",
    }
    for name, words in expected.items():
        with pytest.raises(UserError) as caught:
            load_pipeline(tmp_path / name, layout=pipe_dir)
        assert words in str(caught.value)
    for part in ("model.diffusion_model", "first_stage_model"):
        with pytest.raises(UserError, match="cannot load the base model"):
            load_pipeline(single_file(pipe, tmp_path / "part.safetensors", leave_out=part), layout=pipe_dir)
