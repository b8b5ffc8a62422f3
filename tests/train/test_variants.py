"""What trains, what is saved, and that every variant goes through stage 2 with every switch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from spf_train import adapter, variants
from spf_train.base_model import load_pipeline, load_unet
from spf_train.config import SPFConfig, Trainable
from spf_train.data import Batch, Prepared
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.errors import ConfigError
from spf_train.stages import NaiveStage
from tests.tiny import CONTEXT, WIDTH, tiny_unet
from tests.train.conftest import MakeStage, draw

VARIANTS: tuple[Trainable, ...] = ("all", "cross_attention", "lora", "adapter")
SWITCHES: list[dict[str, object]] = [
    {},
    {"norm": "l2"},
    {"text_mask": "map", "text_positions": "base+pad", "phrase_map": "mass", "rescale": False},
    {"use_sfcm": False},
    {"w_text": 0.0},
    {"w_fine": 0.0},
    {"w_enh": 0.0},
    {"response_loss": "clip", "enhance_decode": "clip-size"},
    {"align_uncond": True},
]


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents [2, 4, 16, 16], timesteps [2], states of complete and target text [2, 40, 32]."""
    g = torch.Generator().manual_seed(0)
    x, text, target = (torch.randn(2, *shape, generator=g) for shape in ((4, 16, 16), *[(CONTEXT, WIDTH)] * 2))
    return x, torch.tensor([3, 700]), text, target


def varied(which: Trainable, scale: float = 0.1) -> UNet2DConditionModel:
    """A tiny UNet with a variant whose weights have moved."""
    unet: Any = tiny_unet().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in variants.apply(unet, which, rank=4, context=CONTEXT).values():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
    return unet


def output(unet: Any, given: tuple[bool, bool] = (True, True)) -> Tensor:
    x, t, text, target = inputs()
    with torch.no_grad():
        return unet(x, t, variants.text_states(unet, text, target, torch.tensor(given))).sample


def with_targets(prepared: Prepared, **how: Any) -> Batch:
    """A batch that has the target texts' own states, whatever the variant."""
    batch = draw(prepared, **how)
    target = torch.randn(batch.complete.shape, generator=torch.Generator().manual_seed(2))
    return Batch(**{name: getattr(batch, name) for name in batch.__dataclass_fields__} | {"target": target})


@pytest.fixture(scope="module")
def parts(make_stage: MakeStage) -> tuple[DualPathStage, Prepared]:
    """A stage 2 whose frozen networks and samples these tests share."""
    return make_stage()


def rebuilt(stage: DualPathStage, which: Trainable, **switches: Any) -> DualPathStage:
    """Stage 2 over the same frozen networks, training `which` of a response path of its own."""
    unet: Any = tiny_unet(seed=7)
    variants.apply(unet, which, rank=4, context=CONTEXT)
    config = SPFConfig(**switches)
    enhancement = ResponseEnhancement(stage.enhancement.vae, stage.enhancement.clip, config)
    return DualPathStage(unet, stage.reference, enhancement, stage.diffusion, config, None)


@pytest.mark.parametrize("which", VARIANTS)
def test_step_0_is_the_start_model_bit_for_bit(which: Trainable) -> None:
    unet: Any = tiny_unet().eval()
    before = output(unet)
    variants.apply(unet, which, context=CONTEXT)
    assert torch.equal(output(unet), before)


def test_each_variant_trains_its_own_weights() -> None:
    counts = {which: variants.apply(tiny_unet(), which, rank=4, context=CONTEXT) for which in VARIANTS}
    assert len(counts["cross_attention"]) == 7 * 5
    assert len(counts["lora"]) == 7 * 4 * 2 and all(".lora_" in name for name in counts["lora"])
    assert {name.split(".attn2.")[1] for name in counts["adapter"]} == {
        "processor.to_k_tar.weight",
        "processor.to_v_tar.weight",
    }
    assert len(counts["adapter"]) == 7 * 2


def test_lora_starts_the_same_in_every_process() -> None:
    unets = [tiny_unet() for _ in range(3)]
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = variants.apply(unets[0], "lora", rank=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    second = variants.apply(unets[1], "lora", rank=4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = variants.apply(unets[2], "lora", rank=4, seed=1)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda switches: "-".join(switches) or "defaults")
@pytest.mark.parametrize("which", VARIANTS)
def test_every_variant_trains_under_every_switch(
    parts: tuple[DualPathStage, Prepared], which: Trainable, switches: dict[str, object]
) -> None:
    shared, prepared = parts
    stage = rebuilt(shared, which, **switches)
    loss, terms = stage.loss(with_targets(prepared, dropout=0.3))
    loss.backward()
    gradients = [weight.grad for weight in stage.trainable().values()]
    assert loss.isfinite() and all(term.isfinite() for term in terms.values())
    assert any(gradient is not None and bool(gradient.any()) for gradient in gradients)
    assert all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients)
    trained = set(stage.trainable().values())
    assert all(weight.grad is None for weight in stage.unet.parameters() if weight not in trained)


@pytest.mark.parametrize("which", ["lora", "adapter"])
def test_stage_1_takes_any_variant(parts: tuple[DualPathStage, Prepared], which: Trainable) -> None:
    shared, prepared = parts
    batch = with_targets(prepared)
    plain, _ = NaiveStage(tiny_unet(), shared.diffusion).loss(batch)
    unet: Any = tiny_unet()
    variants.apply(unet, which, context=CONTEXT)
    assert torch.equal(NaiveStage(unet, shared.diffusion, None).loss(batch)[0], plain)


def test_the_tap_records_the_main_branch(parts: tuple[DualPathStage, Prepared]) -> None:
    """L_text and the phrase maps read the base tokens' keys, with an adapter as without one."""
    shared, prepared = parts
    batch = with_targets(prepared)
    _, plain = rebuilt(shared, "cross_attention").loss(batch)
    _, branched = rebuilt(shared, "adapter").loss(batch)
    for name in ("diff", "text", "fine", "coverage"):
        torch.testing.assert_close(branched[name], plain[name])


def test_a_text_without_target_adds_nothing() -> None:
    unet, (x, t, text, _) = varied("adapter"), inputs()
    plain = output(tiny_unet().eval())
    assert torch.equal(output(unet, (False, False)), plain)
    assert torch.equal(unet(x, t, text).sample, plain)
    assert torch.equal(unet(x, t, adapter.with_target(text)).sample, plain)
    half = output(unet, (True, False))
    assert not torch.allclose(half[0], plain[0]) and torch.allclose(half[1], plain[1])
    with pytest.raises(ValueError, match="39 text positions"):
        unet(x, t, text[:, :39])


@pytest.mark.parametrize("which", VARIANTS)
def test_a_saved_run_is_the_trained_model(which: Trainable, tmp_path: Path) -> None:
    unet = varied(which)
    variants.save(unet, tmp_path)
    loaded = load_unet(tmp_path, torch.device("cpu")).eval()
    assert not any("lora" in name for name in loaded.state_dict())
    torch.testing.assert_close(output(loaded), output(unet), atol=1e-5, rtol=1e-5)
    assert (tmp_path / variants.ADAPTER_FILE).is_file() == (which == "adapter")
    plain: Any = UNet2DConditionModel.from_pretrained(tmp_path / "unet").eval()
    assert torch.equal(output(plain), output(tiny_unet().eval())) == (which == "adapter")


def test_saving_leaves_the_training_model_alone(tmp_path: Path) -> None:
    unet = varied("lora")
    before, names = output(unet), list(unet.state_dict())
    variants.save(unet, tmp_path)
    assert torch.equal(output(unet), before) and list(unet.state_dict()) == names


def test_lora_is_read_by_diffusers(pipe_dir: Path, tmp_path: Path) -> None:
    """On the pipeline it started from, with an alpha other than the rank."""
    pipe = StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)
    with torch.no_grad():
        for weight in variants.apply(pipe.unet, "lora", rank=4, alpha=2.0).values():
            weight.add_(0.1)
    variants.save(pipe.unet, tmp_path)
    fresh = StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)
    fresh.load_lora_weights(tmp_path / "lora")
    torch.testing.assert_close(output(fresh.unet), output(pipe.unet), atol=1e-6, rtol=1e-5)


def test_an_adapter_of_another_unet_is_refused(tmp_path: Path) -> None:
    variants.save(varied("adapter"), tmp_path)
    other = UNet2DConditionModel.from_config({**tiny_unet().config, "cross_attention_dim": 48})
    with pytest.raises(ConfigError, match="layers are not this UNet's"):
        variants.load(other, tmp_path)


def test_a_pipeline_samples_with_an_adapter(pipe_dir: Path, tmp_path: Path) -> None:
    """Through diffusers' own call: prompt embeddings of twice the context, and the same for the negative prompt."""
    variants.save(varied("adapter", 0.5), tmp_path)
    pipe = load_pipeline(pipe_dir, "cpu")
    pipe.set_progress_bar_config(disable=True)

    def sample(targets: list[str]) -> Tensor:
        embeds = adapter.embed_for(pipe, ["a man"], targets)
        negative = adapter.with_target(pipe.encode_prompt([""], "cpu", 1, False)[0])
        generator = torch.Generator().manual_seed(0)
        how = {"num_inference_steps": 2, "guidance_scale": 4.0, "output_type": "pt", "generator": generator}
        images: Tensor = pipe(prompt_embeds=embeds, negative_prompt_embeds=negative, **how).images
        return images

    assert variants.load(pipe.unet, tmp_path)
    with_target, without = sample(["smiling"]), sample([""])
    adapterless = load_pipeline(pipe_dir, "cpu")
    adapterless.set_progress_bar_config(disable=True)
    how = {"num_inference_steps": 2, "guidance_scale": 4.0, "output_type": "pt"}
    plain = adapterless("a man", generator=torch.Generator().manual_seed(0), **how).images
    assert torch.equal(without, plain) and not torch.equal(with_target, plain)
