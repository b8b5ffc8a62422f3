"""Weight files: what is read, what is refused, and with which words."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spf_bench.errors import UserError
from spf_bench.metrics.checkpoint import fingerprint, fit, read_state

STATE = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}


class Trap:
    """An object that does something when it is unpickled."""

    def __reduce__(self):
        return print, ("the trap went off",)


def test_both_formats_are_read_alike(tmp_path):
    torch.save({"state_dict": STATE}, tmp_path / "a.pth")
    save_file(STATE, tmp_path / "b.safetensors")
    for state in (read_state(tmp_path / "a.pth", key="state_dict"), read_state(tmp_path / "b.safetensors")):
        assert all(torch.equal(state[name], value) for name, value in STATE.items())


def test_nothing_in_a_file_is_ever_run(tmp_path, capsys):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"weight": Trap()}))
    with pytest.raises(UserError, match=r"evil\.pth cannot be read"):
        read_state(tmp_path / "evil.pth")
    assert "went off" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_half_a_file_is_refused(tmp_path, name):
    (torch.save if name.endswith("pth") else save_file)(STATE, tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-90])
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_state(tmp_path / name)
    assert caught.value.fix == "spf-bench weights check"


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(UserError, match=r"no\.pth is missing") as caught:
        read_state(tmp_path / "no.pth")
    assert caught.value.fix == "spf-bench weights fetch"


def test_a_file_without_named_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3, "weight": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="no state dict") as caught:
        read_state(tmp_path / "a.pth")
    assert "epoch" in caught.value.why
    with pytest.raises(UserError, match="no state dict"):
        read_state(tmp_path / "a.pth", key="model")


def test_every_kind_of_misfit_is_told_at_once(tmp_path):
    wrong = {"weight": torch.ones(4, 3), "surplus": torch.ones(1)}
    with pytest.raises(UserError, match="another network than Linear") as caught:
        fit(nn.Linear(3, 2), wrong, tmp_path / "a.pth")
    assert [p.subject for p in caught.value.problems] == ["missing", "unknown", "of another shape"]


def test_ignored_names_and_counters_may_differ(tmp_path):
    norm = nn.BatchNorm1d(2)
    state = {n: v + 1 for n, v in norm.state_dict().items() if n != "num_batches_tracked"}
    fit(norm, state | {"fc.weight": torch.ones(1)}, tmp_path / "a.pth", ignore=("fc.",))
    assert norm.running_var.tolist() == [2, 2]


def test_fingerprint_tells_content_and_facts_apart(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    a, b = tmp_path / "a", tmp_path / "b"
    assert len({fingerprint(a), fingerprint(b), fingerprint(a, torch.bfloat16)}) == 3
    assert len(fingerprint(a)) == 64
