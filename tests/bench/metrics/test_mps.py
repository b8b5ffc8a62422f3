"""The MPS network: its size, its mask, and that a score is nobody else's business."""

import math
import re

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics.clip_encoder import tokenize
from spf_bench.metrics.cross_modal import CrossAttention, CrossModel, ParallelBlock, rotary_angles, rotate
from spf_bench.metrics.mps import MPS, MPSEncoder, MPSModel
from spf_bench.metrics.mps_model import MPSConfig, visible_tokens
from spf_bench.metrics.mps_released import CLIP_H, load_released
from spf_bench.metrics.mps_released import published_names as names_here
from tests.bench.metrics.conftest import CONDITION
from tests.bench.metrics.stand_ins import batch, noise_pictures

TEXTS = ["a man, smiling, with a beard", "a woman, long blonde hair, wearing sunglasses", "sepia style"]


@pytest.fixture(scope="module")
def encoder(world_folders):
    return MPSEncoder.from_pretrained(world_folders["mps"], "cpu")


def test_full_size_has_the_published_parameters():
    with torch.device("meta"):
        model = CrossModel(dim=1024, layers=4, heads=16, dim_head=64, ff_mult=4)
    assert sum(p.numel() for p in model.parameters()) == 118_497_280


def test_hidden_tokens_are_as_good_as_absent():
    torch.manual_seed(0)
    model = CrossModel(dim=16, layers=2, heads=2, dim_head=8, ff_mult=4)
    image, text = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    visible = torch.tensor([1, 0, 1, 1, 0, 0, 1], dtype=torch.bool)
    masked = model(image, text, visible.expand(2, -1))
    dropped = model(image, text[:, visible], torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close(masked, dropped, atol=1e-5, rtol=0)
    everything = model(image, text, torch.ones(2, 7, dtype=torch.bool))
    assert (everything - masked).abs().max() > 1e-3


def test_cross_attention_by_loops():
    torch.manual_seed(0)
    layer, heads, width = CrossAttention(dim=8, heads=2, dim_head=4, ff_mult=2), 2, 4
    x, context = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    visible = torch.tensor([[True, True, False, True, False]])
    normed = torch.nn.functional.layer_norm(x, (8,)) * layer.norm.weight
    query, (key, value) = layer.to_q(normed)[0], layer.to_kv(context)[0].split(width, dim=-1)
    out = torch.zeros(3, heads * width)
    for n in range(3):
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            logits = (key @ query[n, part]) / math.sqrt(width)
            weights = logits.masked_fill(~visible[0], -math.inf).softmax(0)
            out[n, part] = weights @ value
    value, gate = layer.ff[0](normed).chunk(2, dim=-1)
    expected = layer.to_out(out) + layer.ff[2](value * gate * gate.sigmoid())
    torch.testing.assert_close(layer(x, context, visible), expected)


def test_rotation_keeps_relative_places():
    angles = rotary_angles(10, 8, torch.device("cpu"))
    torch.manual_seed(0)
    query, key = torch.randn(8), torch.randn(8)
    dots = [(rotate(query, angles[i]) @ rotate(key, angles[i + 3])).item() for i in range(5)]
    assert dots == pytest.approx([dots[0]] * 5, abs=1e-5)


def test_self_attention_by_loops():
    torch.manual_seed(0)
    block, heads, width = ParallelBlock(dim=8, heads=2, dim_head=4, ff_mult=2), 2, 4
    x = torch.randn(1, 5, 8)
    fused = block.fused_attn_ff_proj(torch.nn.functional.layer_norm(x, (8,)) * block.norm.weight)[0]
    query, key, values, hidden = fused.split([heads * width, width, width, 32], dim=-1)

    def turned(vector: torch.Tensor, place: int) -> torch.Tensor:
        out = torch.empty(4)
        for i, speed in enumerate((1.0, 0.01)):  # 10000^(-2i/4)
            cos, sin = math.cos(place * speed), math.sin(place * speed)
            out[i] = vector[i] * cos - vector[i + 2] * sin
            out[i + 2] = vector[i + 2] * cos + vector[i] * sin
        return out

    out = torch.zeros(5, heads * width)
    for n in range(5):
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            logits = torch.stack([turned(query[n, part], n) @ turned(key[m], m) / 2 for m in range(5)])
            out[n, part] = logits.softmax(0) @ values
    value, gate = hidden.chunk(2, dim=-1)
    expected = block.attn_out(out) + block.ff_out[1](value * gate * gate.sigmoid())
    torch.testing.assert_close(block(x)[0], expected)


def test_image_tokens_skip_the_final_layer_norm(encoder):
    vision, seen = encoder.model.model.vision_model, []
    hook = vision.post_layernorm.register_forward_hook(lambda module, given, result: seen.extend([*given, result]))
    tokens = encoder.encode(np.stack(noise_pictures(2)))["tokens"]
    hook.remove()
    before, after = seen
    project = encoder.model.model.visual_projection
    with torch.inference_mode():
        torch.testing.assert_close(tokens[:, 0], project(before))
        assert (tokens[:, 0] - project(after)).abs().max() > 1e-2


def test_mask_is_relative_to_the_best_match_of_its_row():
    text = torch.tensor([[[10.0], [4.0], [2.0], [-5.0]], [[0.1], [0.02], [0.05], [0.0]]])
    condition = torch.tensor([[[1.0], [0.5]]])
    expected = [[True, True, False, False], [True, False, True, False]]
    assert visible_tokens(text, condition, 0.3).tolist() == expected


def test_text_without_any_match_is_refused():
    with pytest.raises(ValueError, match="nothing to look at"):
        visible_tokens(torch.full((1, 3, 2), -1.0), torch.ones(1, 2, 2), 0.3)


def test_score_is_independent_of_batch_mates(encoder):
    images = np.stack(noise_pictures(3))
    tokens = encoder.encode(images)["tokens"]
    (together,) = encoder.match([tokens], TEXTS)
    alone = [encoder.match([encoder.encode(images[i : i + 1])["tokens"]], [TEXTS[i]])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)
    assert together.std() > 1e-3


def test_metric_is_the_forward_pass(encoder):
    images, texts = noise_pictures(3), ["with a beard", "sepia style", "wearing round glasses"]
    current = batch(images, images, texts)
    scores = MPS(encoder).score(current)
    ids, condition = (tokenize(encoder.tokenizer, t) for t in (current.prompts, [CONDITION]))
    with torch.no_grad():
        raw = encoder.model(encoder.preprocess(np.stack(images)), ids, condition)
    torch.testing.assert_close(scores["mps"], raw, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores["mps_win"], torch.full((3,), 0.5), atol=1e-6, rtol=0)


def test_win_is_the_softmax_of_the_pair(encoder):
    a, b = noise_pictures(2), noise_pictures(2, seed=1)
    there, back = (MPS(encoder).score(batch(*sides)) for sides in ((a, b), (b, a)))
    expected = torch.stack([back["mps"], there["mps"]]).softmax(0)[1]
    torch.testing.assert_close(there["mps_win"], expected)
    torch.testing.assert_close(there["mps_win"] + back["mps_win"], torch.ones(2))


def test_trains(encoder):
    model = MPSModel(encoder.model.config)
    ids = tokenize(encoder.tokenizer, TEXTS)
    model(torch.randn(3, 3, 64, 64), ids, tokenize(encoder.tokenizer, [CONDITION])).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Keys have no bias that a softmax could see, and only token 0 leaves the last layer.
    assert not [name for name in silent if "k_proj.bias" not in name and "post_layernorm" not in name]


def test_saves_and_loads_in_half_precision(encoder, tmp_path):
    encoder.model.save_pretrained(tmp_path, torch.float16)
    again = MPSModel.from_pretrained(tmp_path)
    assert again.config == encoder.model.config
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    pixels = encoder.preprocess(np.stack(noise_pictures(3)))
    ids, condition = (tokenize(encoder.tokenizer, texts) for texts in (TEXTS, [CONDITION]))
    with torch.no_grad():
        half, full = (model(pixels, ids, condition) for model in (again, encoder.model))
    torch.testing.assert_close(half, full, atol=0.2, rtol=0)


def test_fewer_digits_of_the_network_round_no_score(encoder, world_folders):
    rough = MPSEncoder.from_pretrained(world_folders["mps"], "cpu", dtype=torch.bfloat16)
    assert rough.model.model.text_projection.weight.dtype == rough.dtype == torch.bfloat16
    assert torch.equal(rough.model.model.logit_scale, encoder.model.model.logit_scale)  # in float32
    (scores,) = rough.match([rough.encode(np.stack(noise_pictures(3)))["tokens"]], TEXTS)
    assert scores.dtype == torch.float32 and not torch.equal(scores, scores.bfloat16().float())


def released(model: MPSModel) -> dict[str, torch.Tensor]:
    """The network's state dict under the released file's names, with what else that file holds."""
    state = {}
    for name, value in model.state_dict().items():
        number = re.match(r"(cross_model\.layers\.\d\.\d\.)(.*)", name)
        state[f"{number[1]}fn.{number[2]}" if number else name] = value
    for name in [name for name in state if name.endswith("fn.norm.weight")]:
        state[name.replace("weight", "bias")] = torch.zeros_like(state[name])
        state[name.replace("norm.weight", "rotary_emb.inv_freq")] = torch.ones(4)
    return state | {"model.text_model.embeddings.position_ids": torch.arange(40)[None]}


def test_the_released_file_loads_and_scores_alike(encoder, tmp_path):
    torch.save(released(encoder.model), tmp_path / "MPS_overall.pth")
    again = load_released(tmp_path / "MPS_overall.pth", encoder.model.config)
    pixels = encoder.preprocess(np.stack(noise_pictures(3)))
    ids, condition = (tokenize(encoder.tokenizer, texts) for texts in (TEXTS, [CONDITION]))
    with torch.no_grad():
        assert torch.equal(again(pixels, ids, condition), encoder.model(pixels, ids, condition))


def test_a_file_of_another_network_is_refused(encoder, tmp_path):
    state = released(encoder.model)
    biased = next(name for name in state if name.endswith("fn.norm.bias"))
    torch.save(state | {biased: torch.ones_like(state[biased])}, tmp_path / "biased.pth")
    torch.save({name: value for name, value in state.items() if "to_kv" not in name}, tmp_path / "half.pth")
    for name in ("biased.pth", "half.pth"):
        with pytest.raises(UserError, match="another network"):
            load_released(tmp_path / name, encoder.model.config)


def published_names() -> set[str]:
    """The released file's names, written out from the authors' architecture."""
    kinds = ("weight", "bias")
    cross = ("norm.weight", "norm.bias", "to_q.weight", "to_kv.weight", "to_out.weight", "ff.0.weight", "ff.2.weight")
    own = ("norm.weight", "norm.bias", "rotary_emb.inv_freq", "fused_attn_ff_proj.weight", "attn_out.weight")
    names = {f"cross_model.layers.{i}.0.fn.{part}" for i in range(4) for part in cross}
    names |= {f"cross_model.layers.{i}.1.fn.{part}" for i in range(4) for part in (*own, "ff_out.1.weight")}
    layer = [f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")]
    layer += ["layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"]
    for tower, depth in (("text", 24), ("vision", 32)):
        inside = f"model.{tower}_model"
        names |= {f"{inside}.encoder.layers.{i}.{part}.{k}" for i in range(depth) for part in layer for k in kinds}
        names |= {f"{inside}.embeddings.position_ids", f"{inside}.embeddings.position_embedding.weight"}
    names |= {f"model.vision_model.{norm}.{k}" for norm in ("pre_layrnorm", "post_layernorm") for k in kinds}
    names |= {f"model.text_model.final_layer_norm.{k}" for k in kinds}
    names |= {"model.text_model.embeddings.token_embedding.weight", "model.vision_model.embeddings.class_embedding"}
    names |= {"model.vision_model.embeddings.patch_embedding.weight", "model.logit_scale"}
    return names | {"model.visual_projection.weight", "model.text_projection.weight"}


def test_full_size_has_the_published_names_and_shapes(tmp_path):
    with torch.device("meta"):
        model = MPSModel(MPSConfig(CLIP_H))
    nothing = dict.fromkeys(published_names(), torch.zeros(1))
    assert set(model.state_dict()) == set(names_here(nothing, tmp_path))
    assert sum(parameter.numel() for parameter in model.parameters()) == 986_109_441 + 118_497_280
    assert model.model.vision_model.embeddings.position_embedding.weight.shape == (257, 1280)
    assert model.model.text_model.embeddings.position_embedding.weight.shape == (77, 1024)
