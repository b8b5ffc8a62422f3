"""Pickles of the user's are refused, converted without running them, or read as tensors where that is allowed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from spf_bench.errors import UserError
from spf_bench.files.pickles import ALLOW, allowed
from spf_bench.models.base_model import load_pipeline
from spf_bench.trainset.sources import hub_folder
from spf_bench.weights.convert import convert
from spf_train.base_model import load_pipeline as load_for_training
from spf_train.errors import ConfigError

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nothing_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "")


@pytest.fixture
def pickled(tmp_path: Path, pipe_dir: Path) -> Path:
    """A pipeline whose UNet and text encoder are pickles."""
    folder = tmp_path / "model"
    shutil.copytree(pipe_dir, folder)
    for part, old, new in (
        ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("text_encoder", "model.safetensors", "pytorch_model.bin"),
    ):
        torch.save(load_file(folder / part / old), folder / part / new)
        (folder / part / old).unlink()
    return folder


def test_a_pickled_model_is_refused_with_both_ways_out(pickled: Path) -> None:
    with pytest.raises(UserError) as refused:
        load_pipeline(pickled)
    assert refused.value.why == "the weights of unet, text_encoder are pickles, which can run code when it is opened"
    assert refused.value.fix == f"spf-bench weights convert {pickled} {pickled}-safetensors, or --allow-pickle"
    with pytest.raises(ConfigError, match="a pickle can run code"):
        load_for_training(pickled, "cpu")


def test_a_converted_model_is_the_same(cli: Cli, pickled: Path, pipe_dir: Path) -> None:
    whole = Path(f"{pickled}-safetensors")
    done = cli("weights", "convert", pickled, whole)
    assert done.exit_code == 0 and done.stdout.count("written") == 2
    assert not [path for path in whole.rglob("*") if path.suffix == ".bin"]
    pipe, first = load_pipeline(whole), load_pipeline(pipe_dir)
    for part in ("unet", "text_encoder", "vae"):
        expected = getattr(first, part).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in getattr(pipe, part).state_dict().items())
    assert cli("weights", "convert", pickled, whole).exit_code == 2  # what is there stays


def test_what_is_allowed_is_read_as_tensors_alone(
    pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW, "1")
    assert load_pipeline(pickled).unet is not None

    class Payload:
        def __reduce__(self) -> tuple[Any, tuple[Path]]:
            return Path.touch, (tmp_path / "owned",)

    torch.save({"weight": Payload()}, pickled / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="cannot load the base model"):
        load_pipeline(pickled)
    assert not (tmp_path / "owned").exists()


def test_the_option_allows_it(cli: Cli, pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("testset", "build", "--suite", "mini", "--limit", 1, "--base-model", pickled, "--to", tmp_path / "built")
    refused = cli(*words, "--device", "cpu")
    assert refused.exit_code == 2 and "--allow-pickle" in refused.stderr and not (tmp_path / "built").exists()
    for command in (("run", "--method"), ("demo", "--checkpoint")):
        assert not allowed()
        assert cli(*command, "nobody", "--allow-pickle").exit_code == 2 and allowed()
        monkeypatch.setenv(ALLOW, "")


def test_models_of_a_training_set_too(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="its weights are a pickle"):
        hub_folder(str(tmp_path))


def test_what_cannot_be_converted(tmp_path: Path, pipe_dir: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pth")
    (tmp_path / "there.safetensors").write_text("mine")
    sharded = tmp_path / "sharded"
    sharded.mkdir()
    (sharded / "pytorch_model.bin.index.json").write_text("{}")
    for source, to, why in (
        (tmp_path / "a.pth", tmp_path / "a.bin", "no name for safetensors"),
        (tmp_path / "a.pth", tmp_path / "there.safetensors", "is there already"),
        (tmp_path / "none.pth", tmp_path / "b.safetensors", "is not converted"),
        (pipe_dir, tmp_path / "new", "holds no pickled weights"),
        (sharded, tmp_path / "new", "in several pickles"),
    ):
        with pytest.raises(UserError, match=why):
            list(convert(source, to))
    assert (tmp_path / "there.safetensors").read_text() == "mine" and not (tmp_path / "new").exists()
    assert [path.name for path, _, _ in convert(tmp_path / "a.pth", tmp_path / "a.safetensors")] == ["a.safetensors"]
