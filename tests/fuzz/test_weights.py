"""Weights and checkpoints: damaged, of another kind, or of another network; and what tells about them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from baselines.naive import Naive
from baselines.spf import SPF
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.intact import LOOKS, whole
from spf_bench.metrics.checkpoint import fit, read_state
from spf_bench.models.backbone import Backbone
from spf_bench.run.given import Given
from spf_bench.weights.base import base_path
from spf_bench.weights.pickled import convert
from spf_train.adapter import load_adapter
from spf_train.base_model import load_pipeline, load_unet
from spf_train.clip import FrozenClip
from spf_train.errors import ConfigError
from spf_train.shards import read
from tests.bench.conftest import SAMPLING, MiniSuite
from tests.fuzz.outcome import fuzzed, outcome, writes_only_below
from tests.fuzz.strategies import as_json, damaged, mutated, plain_texts, values
from tests.tiny import tiny_unet

TENSORS = save({"a.weight": torch.arange(6.0).view(2, 3), "b": torch.zeros(2, dtype=torch.int64)}, {"broken": "{}"})
HEADER = json.loads(TENSORS[8 : 8 + int.from_bytes(TENSORS[:8], "little")])


def _with_header(header: Any) -> bytes:
    raw = as_json(header)
    return len(raw).to_bytes(8, "little") + raw + TENSORS[8 + int.from_bytes(TENSORS[:8], "little") :]


safetensors = st.one_of(damaged(TENSORS), mutated(HEADER).map(_with_header), values.map(_with_header))


@fuzzed(60)
@given(raw=safetensors, suffix=st.sampled_from(sorted(LOOKS)))
def test_looking_whether_a_file_is_whole(tmp_path: Path, raw: bytes, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(raw)
    assert outcome(lambda: whole(tmp_path / f"a{suffix}")) in (True, False)


@fuzzed(60)
@given(raw=safetensors)
def test_safetensors_of_judges_caches_and_adapters(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw)
    outcome(lambda: fit(nn.Linear(3, 2), read_state(path), path))
    outcome(lambda: read(path))
    outcome(lambda: load_adapter(nn.Linear(3, 2), path))


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pickle") / "a.pth"
    torch.save({"a": torch.zeros(2), "b": {"c": torch.ones(1)}}, path)
    return path.read_bytes()


@fuzzed()
@given(data=st.data())
def test_pickles(tmp_path: Path, pickled: bytes, data: st.DataObject) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(data.draw(damaged(pickled)))
    with writes_only_below(tmp_path, "out.safetensors"):
        outcome(lambda: read_state(path))
        outcome(lambda: convert(path, tmp_path / "out.safetensors"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage's folder as the trainer leaves it."""
    folder = tmp_path_factory.mktemp("trained") / "stage1"
    tiny_unet().save_pretrained(folder / "unet")
    (folder / "run.json").write_text(json.dumps({"stage": {"steps": 3}, "seed": 0, "original": None}))
    (folder / "finished.json").write_text('{"steps": 3}')
    return folder


FILES = ("unet/config.json", "unet/diffusion_pytorch_model.safetensors", "run.json", "artifact.json", "training.json")


@fuzzed(10, 600)
@given(data=st.data(), name=st.sampled_from(FILES), kind=st.sampled_from((SPF, Naive)))
def test_checkpoint_folders(
    tmp_path: Path, trained: Path, pipe_dir: Path, clip_dir: Path, data: st.DataObject, name: str, kind: Any
) -> None:
    folder = tmp_path / "stage1"
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    _damage(folder / name, data)
    suite = MiniSuite(pipe_dir, clip_dir)
    with writes_only_below(tmp_path):
        found = outcome(lambda: Given.of(folder, kind(), suite))
        if isinstance(found, Given):
            outcome(lambda: Backbone.from_folder(pipe_dir, SAMPLING).use_unet(found.folder / "unet"))
        outcome(lambda: load_unet(folder, torch.device("cpu")))
        built = outcome(lambda: Artifacts(tmp_path, {}).used)
    assert not isinstance(built, UserError | ConfigError)
    shutil.rmtree(folder)


MODEL = (
    "model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json", "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors",
)  # fmt: skip


@fuzzed(4, 400)
@given(data=st.data(), name=st.sampled_from(MODEL))
def test_base_models(tmp_path: Path, pipe_dir: Path, data: st.DataObject, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pipe_dir, folder, dirs_exist_ok=True)
    _damage(folder / name, data)
    with writes_only_below(tmp_path):
        outcome(lambda: Backbone.from_folder(folder, SAMPLING))
        outcome(lambda: load_pipeline(folder, "cpu"))
    shutil.rmtree(folder)


CLIP = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")


@fuzzed(4, 400)
@given(data=st.data(), name=st.sampled_from(CLIP))
def test_clips(tmp_path: Path, clip_dir: Path, data: st.DataObject, name: str) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_dir, folder, dirs_exist_ok=True)
    _damage(folder / name, data)
    outcome(lambda: FrozenClip.from_pretrained(folder))
    shutil.rmtree(folder)


@fuzzed(25)
@given(name=plain_texts.filter(lambda text: "\0" not in text))
def test_names_of_models(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with writes_only_below(tmp_path):
        outcome(lambda: base_path(name))


def _damage(path: Path, data: st.DataObject) -> None:
    """Spoil a file, take it away, or put one where none is."""
    if not path.is_file():
        path.write_bytes(as_json(data.draw(values)))
        return
    raw, kinds = path.read_bytes(), ["bytes", "bytes", "gone"]
    kind = data.draw(st.sampled_from([*kinds, "json"] if path.suffix == ".json" else kinds))
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes(data.draw(mutated(json.loads(raw)).map(as_json) if kind == "json" else damaged(raw)))
