"""A pickled network gives its tensors and nothing else; a pickle that wants to run code runs none."""

import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spf_bench.errors import UserError
from spf_bench.weights.pickled import convert


class Network(nn.Module):
    """Stands for the released class, under the released name of its module."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"text_model": nn.Linear(3, 2), "norm": nn.LayerNorm(2)})
        self.scale = nn.Parameter(torch.tensor(4.6))
        self.register_buffer("counter", torch.arange(3))


@pytest.fixture
def released(tmp_path, monkeypatch) -> Path:
    for name in ("trainer", "trainer.models", "trainer.models.clip_model"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(Network, "__module__", "trainer.models.clip_model")
    monkeypatch.setattr(sys.modules["trainer.models.clip_model"], "Network", Network, raising=False)
    torch.manual_seed(0)
    torch.save(Network().half(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_the_tensors_are_those_of_the_network(released, tmp_path):
    count, sha256 = convert(released, tmp_path / "out.safetensors")
    torch.manual_seed(0)
    expected, found = Network().half().state_dict(), load_file(tmp_path / "out.safetensors")
    assert count == len(expected) == 6 and len(sha256) == 64
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_pickle_with_a_payload_is_refused_unrun(tmp_path):
    torch.save({"state_dict": Payload(tmp_path / "owned")}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="asks for"):
        convert(tmp_path / "bad.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "owned").exists() and not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", ["torch\nhub.load", "torch\nserialization.os.system", "os\nsystem", "builtins\neval"])
def test_no_other_name_is_looked_up(name, tmp_path):
    import io

    from spf_bench.weights.pickled import Unpickler

    with pytest.raises(pickle.UnpicklingError, match="asks for"):
        Unpickler(io.BytesIO(f"c{name}\n.".encode())).load()


def test_files_of_no_use_are_said_to_be(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "plain.pth")
    (tmp_path / "text.pth").write_text("not a pickle")
    for name in ("plain.pth", "text.pth", "absent.pth"):
        with pytest.raises(UserError):
            convert(tmp_path / name, tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    "around", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state, "lr": torch.ones(1)}]
)
def test_state_dicts_and_checkpoints_of_trainers(around, tmp_path):
    torch.save(around({"a.weight": torch.ones(2), "a.bias": torch.zeros(1)}), tmp_path / "plain.ckpt")
    assert convert(tmp_path / "plain.ckpt", tmp_path / "out.safetensors")[0] == 2
    assert set(load_file(tmp_path / "out.safetensors")) == {"a.weight", "a.bias"}
