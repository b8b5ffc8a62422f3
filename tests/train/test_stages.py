"""What a stage-1 and a stage-2 step compute, and what they leave alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from spf_train import control_map as sfcm
from spf_train import losses, variants
from spf_train.config import SPFConfig, StageConfig, TrainConfig
from spf_train.data import Sample
from spf_train.dual_path import DualPathStage
from spf_train.errors import ConfigError
from spf_train.prediction import Diffusion
from spf_train.stages import NaiveStage
from spf_train.tap import CrossAttentionTap
from spf_train.train import load_stage2
from tests.tiny import tiny_unet
from tests.train.conftest import MakeStage, draw

TERMS = {"diff", "text", "fine", "enh", "coverage"}


def gradients(stage: NaiveStage) -> dict[str, Tensor]:
    return {name: w.grad.clone() for name, w in stage.trainable().items() if w.grad is not None}


def test_cross_attention_is_the_four_projections_of_attn2() -> None:
    chosen = variants.apply(tiny_unet(), "cross_attention")
    kinds = {name.split("attn2.")[1] for name in chosen}
    assert kinds == {"to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "to_out.0.bias"}
    assert len(chosen) == 7 * 5


def test_a_baseline_can_choose_its_own_weights() -> None:
    unet = tiny_unet().requires_grad_(False)
    unet.conv_out.requires_grad_(True)
    assert set(variants.apply(unet, None)) == {"conv_out.weight", "conv_out.bias"}


def test_all_is_every_weight() -> None:
    unet = tiny_unet()
    assert variants.apply(unet, "all").keys() == dict(unet.named_parameters()).keys()


def test_stage_1_is_the_plain_noise_prediction_loss(make_stage: MakeStage) -> None:
    dual, prepared = make_stage()
    batch = draw(prepared)
    stage = NaiveStage(dual.unet, dual.diffusion)
    loss, terms = stage.loss(batch)
    x_t = dual.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    eps = dual.unet(x_t, batch.t, batch.complete).sample
    torch.testing.assert_close(loss, (eps - batch.eps).square().mean())
    assert terms == {"diff": loss}


def test_min_snr_weighs_the_samples(make_stage: MakeStage) -> None:
    dual, prepared = make_stage()
    batch, unet = draw(prepared), dual.unet
    plain = torch.stack([NaiveStage(unet, dual.diffusion).loss(part)[0] for part in batch.split(1)])
    weighted, _ = NaiveStage(unet, dual.diffusion, min_snr_gamma=5.0).loss(batch)
    torch.testing.assert_close(weighted, (plain * dual.diffusion.min_snr_weight(batch.t, 5.0)).mean())


@pytest.mark.parametrize("norm", ["mse", "l2"])
@pytest.mark.parametrize("use_sfcm", [False, True])
def test_stage_2_is_the_sum_of_its_equations(make_stage: MakeStage, norm: losses.Norm, use_sfcm: bool) -> None:
    """Every sample and layer by itself, without padding, from the recorded Q and K."""
    stage, prepared = make_stage(norm=norm, use_sfcm=use_sfcm)
    batch = draw(prepared)
    total, terms = stage.loss(batch)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    text = fine = 0.0
    with CrossAttentionTap(stage.reference) as ref, CrossAttentionTap(stage.unet) as res, torch.no_grad():
        stage.reference(x_t, batch.t, batch.base)
        stage.unet(x_t, batch.t, batch.complete)
    assert stage.released is not None and bool(stage.released.any()) == use_sfcm
    for a, b in zip(ref.layers, res.layers, strict=True):
        local = sfcm.at_layer(stage.released, a.query.shape[2])
        for i in range(len(batch)):
            own = batch.base_positions[i]
            F_ref, F_res = (
                losses.text_features(x.key[i : i + 1, :, own], x.query[i : i + 1], local[i : i + 1]) for x in (a, b)
            )
            kept = (1 - local[i])[None, :, None]
            text += distance(F_ref - F_res, norm) / len(batch)
            fine += distance((a.query[i] - b.query[i]) * kept, norm) / len(batch)
    assert terms["text"].item() == pytest.approx(text, rel=1e-4)
    assert terms["fine"].item() == pytest.approx(fine, rel=1e-4)
    weighted = terms["diff"] + 0.2 * terms["text"] + 0.1 * terms["fine"] + 0.6 * terms["enh"]
    torch.testing.assert_close(total, weighted)


def distance(difference: Tensor, norm: str) -> float:
    return float(difference.norm() if norm == "l2" else difference.square().mean())


def test_the_control_map_is_eq_5_to_7(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(phrase_map="mass", rescale=False)
    batch = draw(prepared)
    stage.loss(batch)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with torch.no_grad(), CrossAttentionTap(stage.unet) as tap:
        eps_res = stage.unet(x_t, batch.t, batch.complete).sample
        eps_ref = stage.reference(x_t, batch.t, batch.base).sample
    soft = sfcm.soft_map(eps_ref, eps_res)
    expected = soft.clone()
    tokens = sfcm_tokens(batch.spans)
    maps = sfcm.phrase_maps(tap.layers, tokens, (16, 16), "mass")
    for b in range(len(batch)):
        for i in range(maps.shape[1]):
            expected[b, 0] -= maps[b, i] * (1 - batch.cosine[b, i].clamp(0, 1))
    torch.testing.assert_close(stage.released, expected.clamp(0, 1))


def test_the_soft_map_of_the_text_compares_the_response_path_with_itself(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(soft_map="text", soft_scale="quantile")
    batch = draw(prepared)
    total, _ = stage.loss(batch)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with torch.no_grad():
        untold, told = (stage.unet(x_t, batch.t, text).sample for text in (batch.base, batch.complete))
    torch.testing.assert_close(stage.soft, sfcm.soft_map(untold, told, "quantile"))
    total.backward()  # the pass that only draws the map leaves the one that trains as it was


def test_l_diff_acts_where_the_map_releases(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(diff_area="released", align_t_min=500)
    batch = draw(prepared, size=8)
    _, terms = stage.loss(batch)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with torch.no_grad():
        squares = (stage.unet(x_t, batch.t, batch.complete).sample - batch.eps).square().mean(dim=1)
    late = batch.t >= 500
    assert late.any() and not late.all() and stage.released is not None
    expected, maps = [], iter(stage.released[:, 0])
    for i in range(len(batch)):
        share = torch.ones(16, 16)
        if late[i]:
            share = next(maps)
            share = share / max(share.mean().item(), 0.05)
        expected.append((squares[i] * share).mean().item())
    assert terms["diff"].item() == pytest.approx(sum(expected) / len(expected), rel=1e-4)


def sfcm_tokens(spans: Tensor) -> Tensor:
    tokens = torch.zeros(*spans.shape[:2], 40, dtype=torch.bool)
    for b, i in torch.cartesian_prod(torch.arange(spans.shape[0]), torch.arange(spans.shape[1])).tolist():
        tokens[b, i, spans[b, i, 0] : spans[b, i, 1]] = True
    return tokens


def test_without_sfcm_nothing_is_released(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(use_sfcm=False)
    _, terms = stage.loss(draw(prepared))
    assert stage.released is not None and not stage.released.any()
    assert terms["coverage"] == 0
    _, released = make_stage()[0].loss(draw(prepared))
    assert released["fine"] < terms["fine"] and released["coverage"] > 0


def test_gradients_reach_the_response_path_only(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(w_diff=0.0, w_text=0.0, w_fine=0.0)
    loss, _ = stage.loss(draw(prepared))
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(stage).values())
    assert gradients(stage).keys() == stage.trainable().keys()
    assert any(gradient.any() for gradient in gradients(stage).values())
    for frozen in (stage.reference, stage.enhancement.vae, stage.enhancement.clip):
        assert all(w.grad is None and not w.requires_grad for w in frozen.parameters())
    others = set(stage.unet.parameters()) - set(stage.trainable().values())
    assert all(w.grad is None for w in others)


def test_gradient_checkpointing_changes_nothing(make_stage: MakeStage) -> None:
    found = []
    for checkpointing in (False, True):
        stage, prepared = make_stage()
        if checkpointing:
            stage.unet.enable_gradient_checkpointing()
        loss, _ = stage.loss(draw(prepared))
        loss.backward()
        found.append(gradients(stage))
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient)


def test_no_gradient_flows_through_the_control_map(make_stage: MakeStage) -> None:
    stage, prepared = make_stage()
    stage.loss(draw(prepared))
    assert stage.released is not None and not stage.released.requires_grad


def test_v_prediction_gives_the_losses_of_epsilon_on_equal_predictions(make_stage: MakeStage) -> None:
    """A UNet whose v is the v of another's ε has the same control map and response loss."""
    stage, prepared = make_stage()
    batch = draw(prepared)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with torch.no_grad():
        eps = stage.unet(x_t, batch.t, batch.complete).sample
        as_v = Diffusion(stage.diffusion.alphas_cumprod, "v_prediction")
        v = as_v.target(stage.diffusion.x0(eps, x_t, batch.t), eps, batch.t)
        by_eps = stage.enhancement.loss(batch, stage.diffusion.x0(eps, x_t, batch.t))
        stage.diffusion = as_v
        by_v = stage.enhancement.loss(batch, as_v.x0(v, x_t, batch.t))
    torch.testing.assert_close(as_v.epsilon(v, x_t, batch.t), eps, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(by_v, by_eps, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"text_mask": "map"},
        {"text_positions": "base+pad"},
        {"phrase_map": "mass"},
        {"rescale": False},
        {"gamma_center": 0.9},
        {"response_loss": "clip"},
        {"norm": "l2"},
    ],
)
def test_every_setting_changes_the_loss(make_stage: MakeStage, settings: dict[str, object]) -> None:
    stage, prepared = make_stage()
    plain, _ = stage.loss(draw(prepared))
    changed, terms = make_stage(**settings)[0].loss(draw(prepared))
    assert changed.isfinite() and changed != plain
    assert terms.keys() == TERMS


def test_gamma_center_moves_the_mean(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(gamma_center=0.6)
    assert stage.gamma_shift + prepared.mean_cosine == pytest.approx(0.6)
    real = [
        float(prepared.cosine[n, i])
        for n in range(len(prepared))
        for i in range(prepared.spans.shape[1])
        if prepared.spans[n, i].any()
    ]
    assert prepared.mean_cosine == pytest.approx(math.fsum(real) / len(real), abs=1e-6)


def test_alignment_acts_within_its_timesteps(make_stage: MakeStage) -> None:
    with pytest.raises(ConfigError, match=r"align_t_min = 1000, and the timesteps end at 999"):
        make_stage(align_t_min=1000)
    stage, prepared = make_stage(align_t_min=999)
    _, none = stage.loss(draw(prepared))
    assert none["text"] == none["fine"] == none["coverage"] == 0
    batch = draw(prepared)
    middle = int(batch.t.sort().values[1])
    some, _ = make_stage(align_t_max=middle)
    assert some.aligned(batch).tolist() == (batch.t <= middle).tolist()
    late, _ = make_stage(enhance_t_max=middle)
    assert 0 < late.loss(batch)[1]["enh"] < stage.loss(batch)[1]["enh"]


@pytest.mark.parametrize("aligns", [0.2, 0.0])
def test_the_goal_may_be_what_the_target_text_changes(make_stage: MakeStage, aligns: float) -> None:
    stage, prepared = make_stage(
        diff_target="contrast", contrast_scale=1.5, w_text=aligns, w_fine=aligns, align_t_max=600
    )
    first, _ = make_stage()
    batch = draw(prepared, size=6, dropout=0.3)
    assert batch.dropped.any() and not batch.dropped.all()
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with torch.no_grad():
        untold = stage.reference(x_t, batch.t, batch.base).sample
        goal = untold + 1.5 * (
            first.unet(x_t, batch.t, batch.complete).sample - first.unet(x_t, batch.t, batch.base).sample
        )
        output = stage.unet(x_t, batch.t, batch.complete).sample
    torch.testing.assert_close(goal[batch.dropped], untold[batch.dropped])
    loss, terms = stage.loss(batch)
    torch.testing.assert_close(terms["diff"], (output - goal).square().mean())
    loss.backward()
    assert stage.contrast is not None
    assert all(weight.grad is None for weight in stage.contrast.first.parameters())


def test_without_a_stage_1_the_goal_is_the_original_models_own_response(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(from_stage1=False, diff_target="contrast")
    assert stage.contrast is not None and stage.contrast.first is stage.reference
    _, terms = stage.loss(draw(prepared))
    assert terms["diff"] < 1e-10  # it starts there


def test_dropped_captions_only_enter_the_diffusion_loss(make_stage: MakeStage) -> None:
    stage, prepared = make_stage()
    loss, terms = stage.loss(draw(prepared, dropout=1.0))
    assert terms["text"] == terms["fine"] == terms["enh"] == 0
    assert loss == terms["diff"]


def test_dropped_captions_can_be_aligned_everywhere(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(align_uncond=True)
    batch = draw(prepared, dropout=1.0)
    _, terms = stage.loss(batch)
    assert terms["text"] > 0 and terms["fine"] > 0
    assert terms["enh"] == terms["coverage"] == 0
    assert stage.positions(batch).sum(dim=1).tolist() == [39] * 4
    untouched, _ = make_stage(from_stage1=False, align_uncond=True)
    _, equal = untouched.loss(batch)
    assert equal["text"] == equal["fine"] == 0


def test_parts_of_a_batch_average_to_the_whole(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(align_t_max=600, align_uncond=True)
    batch = draw(prepared, size=6, dropout=0.3)
    whole, terms = stage.loss(batch)
    parts = [(stage.loss(part), len(part) / 6) for part in batch.split(4)]
    torch.testing.assert_close(sum(loss * share for (loss, _), share in parts), whole)
    for name in terms:
        torch.testing.assert_close(sum(found[name] * share for (_, found), share in parts), terms[name])


def test_a_base_text_without_phrases_is_no_obstacle(pipe_dir: Path, clip_dir: Path, samples: list[Sample]) -> None:
    config = TrainConfig(stage2=StageConfig(steps=1), spf=SPFConfig(gamma_center=0.5))
    bare = [Sample(samples[0].image, "", "smiling")]
    stage, prepared = load_stage2(pipe_dir, clip_dir, None, bare, config)
    loss, terms = stage.loss(draw(prepared, size=1))
    assert loss.isfinite() and terms["text"] == 0


def test_a_report_shows_the_maps(make_stage: MakeStage, tmp_path: Path) -> None:
    stage, prepared = make_stage()
    stage.report(tmp_path)
    assert not list(tmp_path.iterdir())  # nothing was aligned yet
    stage.loss(draw(prepared))
    stage.report(tmp_path)
    assert Image.open(tmp_path / "maps.png").size == (2 * 96 + 2, 4 * 98)


@pytest.mark.parametrize("w_enh", [0.6, 0.0])
def test_what_encoded_the_samples_is_freed(make_stage: MakeStage, w_enh: float) -> None:
    stage, prepared = make_stage(w_enh=w_enh, enhance_decode="clip-size")
    loss, _ = stage.loss(draw(prepared))
    vae, clip = stage.enhancement.vae, stage.enhancement.clip
    assert loss.isfinite() and (vae is None) == (clip is None) == (w_enh == 0)
    names = {name.partition(".")[0] for part in (vae, clip and clip.model) if part for name in part.state_dict()}
    kept = {"decoder", "post_quant_conv", "logit_scale", "vision_model", "visual_projection"}
    assert names == (kept if w_enh else set())


def test_a_pass_of_all_samples_is_not_copied(make_stage: MakeStage) -> None:
    stage, prepared = make_stage()
    batch = draw(prepared)
    ref = stage.reference_path(batch, batch.x0)
    assert ref.take(torch.arange(4)) is ref
    part = ref.take(torch.tensor([1, 3]))
    assert torch.equal(part.output, ref.output[[1, 3]]) and torch.equal(part.layers[2].key, ref.layers[2].key[[1, 3]])


def test_clip_size_decodes_fewer_pixels(make_stage: MakeStage) -> None:
    stage, prepared = make_stage(enhance_decode="clip-size")
    large = torch.randn(1, 4, 32, 24)
    assert stage.enhancement.decode(large).shape == (1, 3, 84, 64)
    assert stage.enhancement.decode(prepared.latent_mean[:1]).shape == (1, 3, 64, 64)


def test_only_stage_2_starts_with_no_soft_difference_but_the_texts(make_stage: MakeStage) -> None:
    """From the original UNet with l2, first-layer Q are equal: the gradient has to stay finite."""
    stage, prepared = make_stage(from_stage1=False, norm="l2")
    loss, _ = stage.loss(draw(prepared))
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(stage).values())


def test_the_stage_is_a_dual_path_over_two_unets(make_stage: MakeStage) -> None:
    stage, _ = make_stage(from_stage1=False)
    assert isinstance(stage, DualPathStage)
    assert stage.unet is not stage.reference
    for own, frozen in zip(stage.unet.parameters(), stage.reference.parameters(), strict=True):
        assert torch.equal(own, frozen) and own.data_ptr() != frozen.data_ptr()
