"""The harness's sampling: its own short loop must be the pipeline's, and a batch must not change an image."""

from pathlib import Path

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from spf_bench.errors import UserError
from spf_bench.models.backbone import Backbone
from spf_bench.suite import Sampling
from tests.bench.conftest import BASE, make_triples

TRIPLES = make_triples(4)
PROMPTS = [triple.prompt for triple in TRIPLES]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal but for single steps of rounding in few pixels."""
    apart = (a.int() - b.int()).abs()
    return bool(apart.max() <= 1 and (apart > 0).float().mean() < 0.01)


def noise(backbone: Backbone) -> torch.Tensor:
    return torch.stack([backbone.noise_for(triple) for triple in TRIPLES])


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("negative", ["", "a woman"])
def test_rendering_is_what_the_pipeline_makes(pipe_dir: Path, guidance: float, negative: str) -> None:
    sampling = Sampling("dpmsolver++2m", steps=5, guidance=guidance, negative_prompt=negative)
    backbone = Backbone.from_folder(pipe_dir, sampling)
    pipe = StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type="dpmsolver++")
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        PROMPTS,
        latents=noise(backbone),
        num_inference_steps=5,
        guidance_scale=guidance,
        negative_prompt=[negative] * len(PROMPTS),
        output_type="np",
    ).images
    ours = backbone.render(backbone.encode(PROMPTS), noise(backbone))
    assert close(ours, torch.from_numpy((theirs * 255).round()).to(torch.uint8))
    assert ours.float().std() > 5  # a constant image would agree with anything


@pytest.mark.parametrize("scheduler", ["dpmsolver++2m", "ddim"])
def test_a_batch_of_four_equals_four_of_one(pipe_dir: Path, scheduler: str) -> None:
    backbone = Backbone.from_folder(pipe_dir, Sampling(scheduler, steps=4, guidance=4.0))
    together = backbone.render(backbone.encode(PROMPTS), noise(backbone))
    for i, prompt in enumerate(PROMPTS):
        alone = backbone.render(backbone.encode([prompt]), noise(backbone)[i : i + 1])
        assert close(alone[0], together[i])


def test_noise_follows_from_the_seed_alone(backbone: Backbone) -> None:
    first, second = noise(backbone)[0], noise(backbone)[1]
    assert first.shape == (4, 16, 16)
    assert torch.equal(backbone.noise_for(TRIPLES[0]), first) and not torch.equal(first, second)


def test_base_and_complete_text_differ_only_by_the_text(backbone: Backbone) -> None:
    base = backbone.render(backbone.encode([BASE] * 4), noise(backbone))
    again = backbone.render(backbone.encode([BASE] * 4), noise(backbone))
    complete = backbone.render(backbone.encode(PROMPTS), noise(backbone))
    assert torch.equal(base, again) and not torch.equal(base, complete)


def test_another_unet_comes_and_goes(backbone: Backbone, tmp_path: Path) -> None:
    before = backbone.render(backbone.encode(PROMPTS), noise(backbone))
    changed = type(backbone.unet).from_config(backbone.unet.config)
    changed.save_pretrained(tmp_path / "unet")
    backbone.use_unet(tmp_path / "unet")
    assert not torch.equal(backbone.render(backbone.encode(PROMPTS), noise(backbone)), before)
    backbone.restore()
    assert torch.equal(backbone.render(backbone.encode(PROMPTS), noise(backbone)), before)


def test_a_prompt_that_would_lose_its_target_is_refused(backbone: Backbone) -> None:
    with pytest.raises(UserError, match="tokens"):
        backbone.encode([", ".join([BASE] * 9)])


def test_an_unknown_scheduler_names_the_nearest(pipe_dir: Path) -> None:
    with pytest.raises(UserError) as caught:
        Backbone.from_folder(pipe_dir, Sampling("dpmsolver2m", 3, 1.0))
    assert "did you mean 'dpmsolver++2m'" in str(caught.value)


def test_text_is_encoded_once(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    first = backbone.encode(PROMPTS)
    monkeypatch.setattr(backbone, "_encode_one", lambda prompt: pytest.fail(f"encoded {prompt!r} again"))
    assert torch.equal(backbone.encode(PROMPTS[::-1]), first.flip(0))
