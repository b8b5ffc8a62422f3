"""OFT: what it trains is orthogonal, also after training, and turns inputs block by block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.merge import merged
from baselines.oft import OFTSettings, turned
from spf_train.errors import ConfigErrors
from tests.tiny import tiny_unet


def spun(**own: Any) -> Any:
    """A UNet with rotations far from none."""
    unet = tiny_unet()
    turned(unet, OFTSettings(**own))
    torch.manual_seed(0)
    for name, weight in unet.named_parameters():
        if ".oft_R." in name:
            torch.nn.init.normal_(weight, std=0.5)
    return unet


def test_merged_weights_are_turned_and_nothing_else() -> None:
    original, unet = tiny_unet(), merged(spun())
    changed = set()
    for (name, old), new in zip(original.named_parameters(), unet.parameters(), strict=True):
        if not torch.equal(old, new):
            changed.add(name)
            torch.testing.assert_close(new @ new.T, old @ old.T, atol=1e-4, rtol=1e-4)  # W R Rᵀ Wᵀ = W Wᵀ
    assert len(changed) == 7 * 8 and all(".attn" in name and name.endswith("weight") for name in changed)


def test_blocks_turn_by_themselves() -> None:
    """Four blocks of 16 inputs: columns of different blocks never mix."""
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    old = tiny_unet().get_submodule(name).weight
    new = merged(spun()).get_submodule(name).weight
    turn = torch.linalg.lstsq(old.double(), new.double()).solution
    outside = torch.ones(16, 16) - torch.block_diag(*[torch.ones(4, 4)] * 4)
    assert (turn * outside).abs().max() < 1e-4 and (turn @ turn.T - torch.eye(16)).abs().max() < 1e-4


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigErrors) as caught:
        turned(tiny_unet(), OFTSettings(blocks=3))
    assert "16 inputs" in str(caught.value) and "32 inputs" in str(caught.value)


def test_a_bounded_rotation_stays_within_its_bound() -> None:
    unet = spun(eps=1e-3)
    original = tiny_unet()
    bounded, free = merged(unet), merged(spun())
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    near, far = ((other.get_parameter(name) - original.get_parameter(name)).norm() for other in (bounded, free))
    assert 0 < near < 0.01 * far
