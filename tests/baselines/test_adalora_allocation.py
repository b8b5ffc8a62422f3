"""Ranks are allotted as in a trace of the original's allocator; its memory survives a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, get_peft_model
from torch import Tensor, nn

from baselines.adalora.allocation import Allocation, orthogonality

TRACE = np.load(Path(__file__).parent / "vectors" / "adalora_trace.npz")
SETTINGS: dict[str, Any] = json.loads(str(TRACE["cfg_json"]))
STEPS = SETTINGS["total_step"]


class Layers(nn.Module):
    """The trace's three layers, l0 to l2."""

    def __init__(self) -> None:
        super().__init__()
        for i, (inner, outer) in enumerate(TRACE["layer_in_out"].tolist()):
            self.add_module(f"l{i}", nn.Linear(inner, outer, bias=False))


def allocation() -> Allocation:
    settings = {key: value for key, value in SETTINGS.items() if key not in ("orth_reg_weight",)}
    model = get_peft_model(Layers(), AdaLoraConfig(target_modules=["l0", "l1", "l2"], **settings))  # type: ignore
    return Allocation(model.base_model)


def enter(made: Allocation, step: int) -> None:
    """Puts the trace's values and gradients of a step in place."""
    with torch.no_grad():
        for name, weight in made.tuner.model.named_parameters():
            if ".lora_" in name:
                weight.copy_(torch.from_numpy(TRACE[f"s{step:02}/p/{name}"]))
                weight.grad = torch.from_numpy(TRACE[f"s{step:02}/g/{name}"])


def singular(made: Allocation) -> Iterator[tuple[str, Tensor]]:
    return ((name, w.detach()) for name, w in made.tuner.model.named_parameters() if ".lora_E." in name)


def check(made: Allocation, step: int) -> None:
    for name, weight in singular(made):
        torch.testing.assert_close(weight, torch.from_numpy(TRACE[f"s{step:02}/E_after/{name}"]), rtol=0, atol=0)
    kept = TRACE[f"s{step:02}/kept"].tolist()
    assert list(made.ranks().values()) == (kept if kept[0] >= 0 else [SETTINGS["init_r"]] * 3)
    assert made.allocator.budget_schedule(step)[0] == TRACE[f"s{step:02}/budget"]


def test_the_trace_step_by_step() -> None:
    made = allocation()
    for step in range(STEPS):
        enter(made, step)
        expected = float(TRACE[f"s{step:02}/orth"])
        assert orthogonality(made.tuner.model).item() == pytest.approx(expected, rel=1e-5)
        made.update(step)
        check(made, step)


@pytest.mark.parametrize("stopped", [2, 9, 15, 16, 17])
def test_a_restart_goes_on_where_it_stopped(stopped: int, tmp_path: Path) -> None:
    """In the first phase, between allocations, before, at and after the last one."""
    first = allocation()
    for step in range(stopped):
        enter(first, step)
        first.update(step)
    torch.save(first.state(), tmp_path / "state.pt")
    second = allocation()
    second.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(stopped, STEPS):
        enter(second, step)
        second.update(step)
        check(second, step)


def test_an_overflow_leaves_the_averages_alone() -> None:
    made, spoilt = allocation(), allocation()
    for step in range(5):
        for one in (made, spoilt):
            enter(one, step)
            one.update(step)
    before = made.state()
    enter(made, 5)
    next(iter(singular(made)))[1].grad = None
    for _name, weight in made.tuner.model.named_parameters():
        if weight.grad is not None:
            weight.grad.fill_(float("inf"))
    made.update(5)
    after = made.state()
    assert all(
        torch.equal(after[kind][name], before[kind][name]) for kind in ("mean", "spread") for name in after[kind]
    )
    made.update(16)  # the last allocation takes place all the same
    assert sum(made.ranks().values()) == 6


def test_an_overflow_in_the_first_step_is_waited_out() -> None:
    made = allocation()
    enter(made, 0)
    for weight in made.tuner.model.parameters():
        if weight.grad is not None:
            weight.grad.fill_(float("nan"))
    made.update(0)
    assert made.state() == {"mean": {}, "spread": {}, "pattern": {}}


def test_what_grew_back_is_pruned_for_a_while() -> None:
    made = allocation()
    for step in range(9):
        enter(made, step)
        made.update(step)
    allotted = {name: weight.clone() for name, weight in singular(made)}
    for _name, weight in singular(made):
        weight += (weight == 0) * 0.5
    grown = {name: weight.clone() for name, weight in singular(made)}
    with made.pruned():
        assert all(torch.equal(weight, allotted[name]) for name, weight in singular(made))
    assert all(torch.equal(weight, grown[name]) for name, weight in singular(made))
