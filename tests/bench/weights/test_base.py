"""Which files of a base model's repository are wanted, and where a base model may lie."""

import json

import pytest

from spf_bench.errors import UserError
from spf_bench.weights.base import base_checkpoint, base_path, find_pipeline, wanted

REPOSITORY = [
    "README.md",
    "Realistic_Vision_V4.0.ckpt",
    "Realistic_Vision_V4.0.safetensors",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "safety_checker/pytorch_model.bin",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.bin",
]


def pipeline(folder, *parts):
    for part in parts:
        (folder / part).mkdir(parents=True)
        (folder / part / "model.safetensors").touch()
    index = {"_class_name": "StableDiffusionPipeline", **{part: ["m", "C"] for part in ("unet", "vae", "text_encoder")}}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_one_kind_of_weights_of_each_network_is_wanted():
    assert wanted(REPOSITORY) == [
        "model_index.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.bin",
        "scheduler/scheduler_config.json",
    ]


def test_a_folder_and_a_file_are_taken_as_they_are(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert base_path(str(tmp_path)) == tmp_path
    assert base_path(str(tmp_path / "model.safetensors")) == tmp_path / "model.safetensors"


def test_a_repository_with_and_without_revision():
    assert str(base_checkpoint("runwayml/stable-diffusion-v1-5").source) == "runwayml/stable-diffusion-v1-5@main"
    assert base_checkpoint("owner/name@refs/pr/3").source.revision == "refs/pr/3"


def test_a_pipeline_below_the_users_folder_is_found_when_whole(home, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "mine"))
    row = base_checkpoint("owner/name")
    assert find_pipeline(row) is None
    folder = pipeline(home / "mine" / "owner--name", "unet", "vae")
    assert find_pipeline(row) is None, "its text encoder has no weights"
    (folder / "text_encoder").mkdir()
    (folder / "text_encoder" / "pytorch_model.bin").touch()
    assert base_path("owner/name") == folder


def test_a_base_model_that_is_nowhere_names_the_command(home, monkeypatch):
    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "mine"))
    with pytest.raises(UserError) as caught:
        base_path(None)
    assert caught.value.fix == "spf-bench weights fetch base"
    with pytest.raises(UserError) as caught:
        base_path("owner/name")
    assert caught.value.fix == "SPF_BENCH_BASE=owner/name spf-bench weights fetch base"
    with pytest.raises(UserError, match="no base model"):
        base_path("./absent.safetensors")
