"""The tap records Q and K and leaves no trace."""

from __future__ import annotations

import pytest
import torch

from spf_train.tap import CrossAttentionTap
from tests.tiny import CONTEXT, WIDTH, tiny_unet


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 16, 16, generator=g)
    return x, torch.tensor([3, 700]), torch.randn(2, CONTEXT, WIDTH, generator=g)


def test_output_is_the_same_bit_for_bit_and_the_hooks_go() -> None:
    unet = tiny_unet().eval()
    processors = dict(unet.attn_processors)
    with torch.no_grad():
        before = unet(*inputs()).sample
        with CrossAttentionTap(unet):
            tapped = unet(*inputs()).sample
        after = unet(*inputs()).sample
    assert torch.equal(before, tapped) and torch.equal(before, after)
    assert unet.attn_processors == processors
    assert not any(module._forward_hooks for module in unet.modules())


def test_hooks_go_when_the_pass_fails() -> None:
    unet = tiny_unet()
    with pytest.raises(ZeroDivisionError), CrossAttentionTap(unet):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in unet.modules())


def test_records_what_the_projections_give_per_head() -> None:
    unet = tiny_unet().eval()
    x, t, text = inputs()
    with torch.no_grad(), CrossAttentionTap(unet) as tap:
        unet(x, t, text)
    sizes = [layer.query.shape[2] for layer in tap.layers]
    assert len(tap.layers) == 7 and set(sizes) == {256, 64}
    attention = unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn2")
    key = attention.to_k(text)
    head = key.shape[-1] // attention.heads
    recorded = tap.layers[list(tap.attention).index("mid_block.attentions.0.transformer_blocks.0.attn2")].key
    assert torch.equal(recorded[:, 1], key[:, :, head : 2 * head])


def test_gradients_flow_through_the_record() -> None:
    unet = tiny_unet()
    with CrossAttentionTap(unet) as tap:
        unet(*inputs())
    sum(layer.query.square().mean() for layer in tap.layers).backward()  # type: ignore[union-attr]
    assert unet.conv_in.weight.grad is not None and unet.conv_in.weight.grad.any()


def test_no_record_before_a_pass() -> None:
    with CrossAttentionTap(tiny_unet()) as tap, pytest.raises(RuntimeError, match="no Q and K"):
        _ = tap.layers
