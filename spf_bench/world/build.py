"""Builds the world's models from nothing: `spf-bench world build`.

Each stage leaves a folder in the work folder and is skipped where that exists, so a build that was stopped
goes on where it was. Stages that do not need each other may run side by side, each with `--only`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from spf_bench.errors import UserError
from spf_bench.metrics.mps_model import MPSModel
from spf_bench.models.image_processor import pil_processor
from spf_bench.world import distributions, networks
from spf_bench.world.assets import WEIGHTS
from spf_bench.world.fit import Fit
from spf_bench.world.judge import Judge
from spf_bench.world.pool import Pool, Progress
from spf_bench.world.train_generator import encode_pool, train_unet, train_vae
from spf_bench.world.train_judges import SHARPEN_SCHEDULE, companion, train_clip, train_hps, train_judge, train_mps

MPS_CONDITION = "skin, hair, background, style, in a sweater, wearing a hat, glasses, smiling, with a beard"
"""What the world's MPS looks at, in words of its vocabulary: the published condition would not fit 40 tokens."""


@dataclass
class Workshop:
    """The work folder of a build, and the pieces the stages share."""

    folder: Path
    device: torch.device
    progress: Progress

    def pool(self, name: str, samples: Callable[[], list], parts: bool = False) -> Pool:
        return Pool.draw(samples(), self.folder / "pools" / f"{name}.npz", self.progress, parts)

    def base(self) -> Pool:
        return self.pool("base", lambda: distributions.base(24000, 0))

    def everything(self) -> Pool:
        return self.pool("judge", lambda: distributions.judge(12000, 0))

    def judged(self) -> Pool:
        return self.pool("judged", lambda: distributions.judge(12000, 1))

    def fit(self, name: str, seed: int) -> Fit:
        torch.manual_seed(seed)  # the initial weights
        return Fit(self.folder / name, self.device, seed, self.progress)

    def model(self, name: str) -> Path:
        return self.folder / name / "model"

    def tokenizer(self) -> CLIPTokenizer:
        path = self.folder / "tokenizer"
        if not (path / "merges.txt").exists():
            networks.make_tokenizer((s.caption for s in distributions.judge(12000, 0)), path)
        return CLIPTokenizer.from_pretrained(path)


def build(
    work: Path,
    device: str = "cpu",
    only: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress = lambda name, done, total: None,
    out: Path = WEIGHTS,
) -> Path:
    """Trains every stage that is missing in `work` and exports half-precision weights to `out`.

    Args:
        work: Folder for pools, checkpoints and logs; the same folder resumes.
        device: Torch device, e.g. "cpu" or "cuda".
        only: Names of stages (see `STAGES`); empty for all, export included.
        threads: CPU threads; None leaves torch's choice.
        progress: Called with (what, done, total).
        out: Where the export goes.

    Raises:
        UserError: An unknown stage, or no such device.
    """
    if unknown := [name for name in only if name not in STAGES]:
        raise UserError(
            f"unknown stage {unknown[0]!r}", "it is none of the build's", f"choose from {', '.join(STAGES)}"
        )
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device {device!r} is not available", "torch sees no CUDA device", "use --device cpu")
    if threads:
        torch.set_num_threads(threads)
    shop = Workshop(work, torch.device(device), progress)
    for name, stage in STAGES.items():
        wanted = name in only if only else True
        if wanted and not shop.model(name).exists():
            stage(shop)
    return out if only else export(shop, out)


def _clip(shop: Workshop) -> None:
    tokenizer, fit = shop.tokenizer(), shop.fit("clip", 1)
    model = networks.make_clip(tokenizer)
    train_clip("clip", model, tokenizer, shop.everything(), fit)
    _keep(shop, "clip", model)


def _clip_image(shop: Workshop) -> None:
    fit = shop.fit("clip_image", 7)
    model = CLIPModel.from_pretrained(_need(shop, "clip"))
    pool = shop.everything() + shop.base().first(12000)
    train_clip("clip_image", model, shop.tokenizer(), pool, fit, SHARPEN_SCHEDULE, sharpen=True)
    _keep(shop, "clip_image", model)


def _vae(shop: Workshop) -> None:
    fit, base, everything = shop.fit("vae", 0), shop.base(), shop.everything()
    vae = networks.make_vae()
    train_vae(vae, base.first(12000) + everything, fit)
    _keep(shop, "vae", vae)


def _unet(shop: Workshop) -> None:
    fit, pool = shop.fit("unet", 2), shop.base()
    vae = AutoencoderKL.from_pretrained(_need(shop, "vae"))
    clip = _need(shop, "clip")
    encoder = CLIPTextModel.from_pretrained(clip).eval().requires_grad_(False).to(shop.device)
    unet = networks.make_unet(encoder.config.hidden_size)
    latents = encode_pool(vae, pool, shop.device, shop.folder / "unet" / "latents.safetensors")
    train_unet(unet, latents, pool, (shop.tokenizer(), encoder), scheduler(), fit)
    _keep(shop, "unet", unet)


def _judge_clip(shop: Workshop) -> None:
    tokenizer, fit = shop.tokenizer(), shop.fit("judge_clip", 3)
    model = networks.make_clip(tokenizer, width=96)
    train_clip("judge_clip", model, tokenizer, shop.judged(), fit)
    _keep(shop, "judge_clip", model)


def _judge(shop: Workshop) -> None:
    pool, fit = shop.judged(), shop.fit("judge", 4)
    people = pool.samples
    others = [companion(sample, people[i - 1]) for i, sample in enumerate(people)]
    companions = shop.pool("companions", lambda: others)
    painted = shop.pool("painted", lambda: distributions.judge(2000, 2), parts=True)
    judge = Judge()
    train_judge(judge, pool, companions, painted, fit)
    _keep(shop, "judge", judge)


def _hps(shop: Workshop) -> None:
    fit = shop.fit("hps", 5)
    model = CLIPModel.from_pretrained(_need(shop, "judge_clip"))
    train_hps(model, shop.tokenizer(), shop.judged(), fit)
    _keep(shop, "hps", model)


def _mps(shop: Workshop) -> None:
    fit = shop.fit("mps", 6)
    clip = CLIPModel.from_pretrained(_need(shop, "judge_clip"))
    model = MPSModel.create(clip, layers=1, heads=3, dim_head=32, condition=MPS_CONDITION)
    train_mps(model, shop.tokenizer(), MPS_CONDITION, shop.judged(), fit)
    _keep(shop, "mps", model)


STAGES: dict[str, Callable[[Workshop], None]] = {
    "vae": _vae,
    "clip": _clip,
    "clip_image": _clip_image,
    "judge_clip": _judge_clip,
    "judge": _judge,
    "hps": _hps,
    "mps": _mps,
    "unet": _unet,
}
"""The build's stages in order; the UNet needs vae and clip, clip_image clip, the scorers judge_clip."""


def scheduler() -> DDPMScheduler:
    """Stable Diffusion 1.x's noise schedule."""
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def export(shop: Workshop, out: Path) -> Path:
    """Writes every model in half precision to `out`, replacing what is there."""
    half = torch.float16
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer = shop.tokenizer()
    clip = CLIPModel.from_pretrained(_need(shop, "clip_image"), dtype=half)
    StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(_need(shop, "vae"), torch_dtype=half),
        text_encoder=CLIPTextModel.from_pretrained(_need(shop, "clip"), dtype=half),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel.from_pretrained(_need(shop, "unet"), torch_dtype=half),
        scheduler=scheduler(),
        safety_checker=None,  # type: ignore[arg-type]  # cartoons need none
        feature_extractor=None,  # type: ignore[arg-type]
        requires_safety_checker=False,
    ).save_pretrained(partial / "pipeline")
    for name in ("clip", "judge_clip", "hps"):
        model = clip if name == "clip" else CLIPModel.from_pretrained(_need(shop, name), dtype=half)
        model.save_pretrained(partial / name)
    MPSModel.from_pretrained(_need(shop, "mps")).save_pretrained(partial / "mps", half)
    Judge.from_pretrained(_need(shop, "judge")).save_pretrained(partial / "judge", half)
    for name in ("clip", "judge_clip", "hps", "mps"):
        tokenizer.save_pretrained(partial / name)
        pil_processor()(
            size={"shortest_edge": networks.IMAGE_SIZE},
            crop_size={"height": networks.IMAGE_SIZE, "width": networks.IMAGE_SIZE},
            image_mean=list(networks.CLIP_MEAN),
            image_std=list(networks.CLIP_STD),
        ).save_pretrained(partial / name)
    for config in partial.rglob("config.json"):
        config.write_text(json.dumps(_unplaced(json.loads(config.read_text())), indent=2) + "\n")
    for kept in ("README.md", "card.json", "calibration.json"):
        if (out / kept).exists():
            shutil.copy(out / kept, partial / kept)
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)
    return out


def _unplaced(config: Any) -> Any:
    """A model's config without the folders of the machine it was built on."""
    if isinstance(config, dict):
        return {name: _unplaced(value) for name, value in config.items() if name != "_name_or_path"}
    return [_unplaced(value) for value in config] if isinstance(config, list) else config


def _need(shop: Workshop, name: str) -> Path:
    path = shop.model(name)
    if not path.exists():
        raise UserError(f"stage {name!r} comes first", f"{path} does not exist", "run the build without --only")
    return path


def _keep(shop: Workshop, name: str, model) -> None:
    partial = shop.folder / name / "partial"
    model.save_pretrained(partial)
    partial.replace(shop.model(name))
