"""A base model is the same pipeline whichever way it comes; what cannot be trained with is refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from spf_train import base_model, single_file
from spf_train.base_model import load_pipeline, load_unet, resolve
from spf_train.clip import FrozenClip
from spf_train.errors import ConfigError, ConfigErrors
from spf_train.layout import to_single_file
from spf_train.prediction import Diffusion
from spf_train.suitability import check_pipeline
from tests.tiny import tiny_pipeline, tiny_unet


@pytest.fixture(scope="module")
def file(pipe_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared pipeline as a single file in the original layout."""
    return save_checkpoint(load_pipeline(pipe_dir, "cpu"), tmp_path_factory.mktemp("file") / "model.safetensors")


def save_checkpoint(pipe: Any, path: Path, metadata: dict[str, str] | None = None, **extra: torch.Tensor) -> Path:
    """Writes a pipeline as a single file, with more tensors where given; returns its path."""
    save_file({name: weight.contiguous() for name, weight in to_single_file(pipe).items()} | extra, path, metadata)
    return path


def test_a_folder_is_loaded_frozen(pipe_dir: Path) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    parts = (pipe.unet, pipe.vae, pipe.text_encoder)
    assert not any(weight.requires_grad for part in parts for weight in part.parameters())
    assert not any(part.training for part in parts)
    assert load_pipeline(pipe_dir, "cpu", torch.bfloat16).unet.dtype == torch.bfloat16


def test_a_single_file_is_the_pipeline_it_was_made_of(pipe_dir: Path, file: Path) -> None:
    saved, loaded = load_pipeline(pipe_dir, "cpu"), load_pipeline(file, "cpu", layout=pipe_dir)
    for name in ("unet", "vae", "text_encoder"):
        expected, found = getattr(saved, name).state_dict(), getattr(loaded, name).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected), name
    text = ["a man with dark skin, smiling"]
    assert torch.equal(saved.encode_prompt(text, "cpu", 1, False)[0], loaded.encode_prompt(text, "cpu", 1, False)[0])
    assert saved.vae.config.scaling_factor == loaded.vae.config.scaling_factor
    assert Diffusion.from_scheduler(loaded.scheduler).prediction_type == "epsilon"


def test_no_network_is_asked_for_a_single_file(file: Path, pipe_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    assert load_pipeline(file, "cpu", layout=pipe_dir).unet.config.in_channels == 4


@pytest.mark.parametrize(
    ("metadata", "tensors", "expected"),
    [
        ({"modelspec.prediction_type": "v"}, (), "v_prediction"),
        ({"modelspec.prediction_type": "epsilon"}, (), "epsilon"),
        ({"modelspec.prediction_type": "sample"}, (), "sample"),
        (None, ("v_pred", "ztsnr"), "v_prediction"),
    ],
)
def test_a_file_says_what_it_predicts(
    pipe_dir: Path, tmp_path: Path, metadata: dict[str, str] | None, tensors: tuple[str, ...], expected: str
) -> None:
    empty = {name: torch.empty(0) for name in tensors}
    path = save_checkpoint(load_pipeline(pipe_dir, "cpu"), tmp_path / "v.safetensors", metadata, **empty)
    diffusion = Diffusion.from_scheduler(load_pipeline(path, "cpu", layout=pipe_dir).scheduler)
    assert diffusion.prediction_type == expected
    assert (diffusion.alphas_cumprod[-1] < 1e-6) == ("ztsnr" in tensors)


def test_the_prediction_type_can_be_set(pipe_dir: Path) -> None:
    pipe = load_pipeline(pipe_dir, "cpu", prediction_type="v_prediction")
    assert Diffusion.from_scheduler(pipe.scheduler).prediction_type == "v_prediction"


def test_another_layout_is_named_by_its_sizes(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"channels 16 instead of 320; text width 32 instead of 768"):
        load_pipeline(file, "cpu")


def test_a_file_without_vae_is_refused(pipe_dir: Path, tmp_path: Path) -> None:
    weights = to_single_file(load_pipeline(pipe_dir, "cpu"))
    kept = {name: weight.contiguous() for name, weight in weights.items() if "first_stage_model." not in name}
    save_file(kept, path := tmp_path / "novae.safetensors")
    with pytest.raises(ConfigError, match="holds no VAE of Stable Diffusion"):
        load_pipeline(path, "cpu", layout=pipe_dir)


def test_a_broken_file_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(ConfigError, match="may be incomplete"):
        load_pipeline(path, "cpu")


def test_pickles_are_refused(tmp_path: Path, pipe_dir: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"")
    with pytest.raises(ConfigError, match="pickle, which can run code"):
        resolve(tmp_path / "model.ckpt")
    folder = shutil.copytree(pipe_dir, tmp_path / "pipe")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ConfigError, match=r"unet of it have no \.safetensors"):
        load_pipeline(folder, "cpu")


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model_index\.json"):
        load_pipeline(tmp_path, "cpu")


def test_networks_that_do_not_fit_together_are_refused_all_at_once(tmp_path: Path) -> None:
    folder = tiny_pipeline(tmp_path / "pipe")
    odd = {"in_channels": 9, "cross_attention_dim": 48, "class_embed_type": "timestep", "sample_size": [16, 24]}
    config = {name: value for name, value in tiny_unet().config.items() if not name.startswith("_")}
    UNet2DConditionModel.from_config(config | odd).save_pretrained(folder / "unet")
    without(folder / "tokenizer" / "tokenizer_config.json", "model_max_length")
    with pytest.raises(ConfigErrors, match="cannot train the base model") as caught:
        load_pipeline(folder, "cpu")
    assert [(problem.subject, problem.why.split(":")[0]) for problem in caught.value.problems] == [
        ("unet", "it has 9 channels in and 4 out, and the VAE's latents have 4"),
        ("unet", "class_embed_type = timestep"),
        ("unet", "it reads texts 48 wide, and the text encoder's are 32 wide"),
        ("unet", "sample_size = [16, 24]"),
        ("tokenizer", "it has no model_max_length, and the text encoder has 40 positions"),
    ]


def test_a_text_encoder_of_another_kind_is_refused(pipe_dir: Path) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    pipe.text_encoder.config = SimpleNamespace(hidden_size=32)
    with pytest.raises(ConfigError, match=r"(?s)cannot train the base model base.*max_position_embeddings"):
        check_pipeline(pipe, "base")


def without(config: Path, *names: str) -> None:
    """Deletes entries of a JSON file."""
    kept = {name: value for name, value in json.loads(config.read_text()).items() if name not in names}
    config.write_text(json.dumps(kept))


def test_a_clip_that_does_not_fit_together_is_refused(clip_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_dir, tmp_path / "clip")
    without(folder / "tokenizer_config.json", "model_max_length")
    config = folder / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"crop_size": 32}))
    with pytest.raises(ConfigErrors, match=r"cropped to 32 pixels, and it sees 64") as caught:
        FrozenClip.from_pretrained(folder)
    assert [problem.subject for problem in caught.value.problems] == ["preprocessor_config.json", "tokenizer"]


def test_what_is_neither_path_nor_id_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        load_pipeline("/no/such/folder", "cpu")


def test_a_hub_id_is_taken_from_the_cache(
    pipe_dir: Path, clip_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache's own layout, offline: a snapshot folder named by its commit."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, folder in (("pipe", pipe_dir), ("clip", clip_dir)):
        cached, commit = tmp_path / f"models--tiny--{name}", "0" * 40
        shutil.copytree(folder, cached / "snapshots" / commit)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(commit)
    assert load_pipeline("tiny/pipe", "cpu").unet.config.cross_attention_dim == 32
    assert FrozenClip.from_pretrained("tiny/clip").preprocessing.size == 64
    with pytest.raises(ConfigError, match=r"hf download tiny/other"):
        load_pipeline("tiny/other", "cpu")


def test_digests_follow_the_unet(pipe_dir: Path, file: Path, tmp_path: Path) -> None:
    assert base_model.base_digest(pipe_dir) == base_model.base_digest(shutil.copytree(pipe_dir, tmp_path / "copy"))
    other = tiny_pipeline(tmp_path / "other", seed=3)
    assert len({base_model.base_digest(base) for base in (pipe_dir, other, file)}) == 3


def test_digests_follow_what_is_around_the_unet(pipe_dir: Path, file: Path, tmp_path: Path) -> None:
    digest = base_model.surroundings_digest(pipe_dir)
    folder = shutil.copytree(pipe_dir, tmp_path / "copy")
    assert base_model.surroundings_digest(folder) == digest is not None
    assert base_model.surroundings_digest(file) is None  # one digest is of the whole file
    found = {digest}
    for name in ("scheduler/scheduler_config.json", "tokenizer/merges.txt", "vae/diffusion_pytorch_model.safetensors"):
        with (folder / name).open("a") as part:
            part.write(" ")
        found.add(base_model.surroundings_digest(folder))
    shutil.copytree(
        tiny_pipeline(tmp_path / "other", seed=3) / "text_encoder", folder / "text_encoder", dirs_exist_ok=True
    )
    found.add(base_model.surroundings_digest(folder))
    assert len(found) == 5 and base_model.base_digest(folder) == base_model.base_digest(pipe_dir)


def test_a_unet_is_found_in_any_folder(pipe_dir: Path, tmp_path: Path) -> None:
    tiny_unet(seed=5).save_pretrained(tmp_path / "unet")
    device = torch.device("cpu")
    for folder in (tmp_path, tmp_path / "unet"):
        assert torch.equal(load_unet(folder, device).conv_in.weight, tiny_unet(seed=5).conv_in.weight)
    with pytest.raises(ConfigError, match="holds no UNet"):
        load_unet(tmp_path / "nowhere", device)


def test_the_shipped_vocabulary_is_clips() -> None:
    tokenizer = single_file.load_tokenizer()
    assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer.pad_token_id == 49407
