"""Single-file checkpoints in Stable Diffusion 1.5's layout, as Realistic Vision is shipped; no network is asked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from spf_train.errors import ConfigError, explained

SD15 = Path(__file__).parent / "configs" / "sd15"
UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."
PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
# What a checkpoint predicts, in its metadata: ModelSpec's words, and "sample", for which that has none.
PREDICTIONS = dict.fromkeys(("v", "v_prediction", "v-prediction"), "v_prediction") | {"sample": "sample"}


def load_single_file(path: Path, layout: Path = SD15) -> Any:
    """The StableDiffusionPipeline of a .safetensors checkpoint, on the CPU.

    layout: the folder with the configs of its networks, its scheduler and its tokenizer.
    Raises ConfigError if a part is missing, or the networks are not those of the layout.
    """
    refuse_pickle(path)
    settings = _check(path, layout)
    given = {"tokenizer": load_tokenizer(layout), "safety_checker": None, "feature_extractor": None}
    with explained(f"cannot load {path}", "fetch it again, or pass a diffusers folder"):
        pipe = StableDiffusionPipeline.from_single_file(str(path), config=str(layout), local_files_only=True, **given)
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **settings)
    return pipe


def load_tokenizer(layout: Path = SD15) -> Any:
    """The layout's CLIPTokenizer; where it has merges alone, ids follow from their order, as in CLIP."""
    path = layout / "tokenizer"
    if not (path / "merges.txt").is_file() or (path / "vocab.json").is_file():
        return CLIPTokenizer.from_pretrained(path)
    merges = [tuple(line.split()) for line in (path / "merges.txt").read_text("utf-8").splitlines()[1:]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())  # the printable bytes first, then the others
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as both:  # transformers 4 knows no other way in than files
        (Path(both) / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), "utf-8")
        shutil.copy(path / "merges.txt", both)
        return CLIPTokenizer.from_pretrained(both, model_max_length=77)


def refuse_pickle(path: Path) -> None:
    """Raises ConfigError unless the file is named .safetensors."""
    if path.suffix == ".safetensors":
        return
    pickle = path.suffix.lower() in PICKLES
    why = "it is a pickle, which can run code when it is opened" if pickle else "it is no .safetensors file"
    raise ConfigError(f"cannot load {path}", why, "get the model's .safetensors file, or its diffusers folder")


def _check(path: Path, layout: Path) -> dict[str, Any]:
    """Scheduler settings that a checkpoint asks for. Raises ConfigError if the layout does not fit it."""
    incomplete = explained(f"cannot read {path}", "fetch it again: it may be incomplete")
    with incomplete, safe_open(path, framework="pt") as file:
        metadata, names = file.metadata() or {}, set(file.keys())
        _refuse_missing(path, names)
        shapes = {name: file.get_slice(UNET + name).get_shape() for name in _telling(names)}
    _refuse_other_layout(path, shapes, layout)
    return scheduler_settings(metadata, names)


def scheduler_settings(metadata: dict[str, str], names: Iterable[str]) -> dict[str, Any]:
    """What a checkpoint's metadata and tensor names say of its noise schedule; empty where they say nothing."""
    settings: dict[str, Any] = {}
    predicts = metadata.get("modelspec.prediction_type", "").lower()
    if said := "v_prediction" if "v_pred" in names else PREDICTIONS.get(predicts):  # an empty tensor of that name
        settings["prediction_type"] = said
    if "ztsnr" in names:
        settings["rescale_betas_zero_snr"] = True
    return settings


def _refuse_missing(path: Path, names: set[str]) -> None:
    parts = {"UNet": UNET, "VAE": VAE, "text encoder": TEXT}
    missing = [part for part, prefix in parts.items() if not any(name.startswith(prefix) for name in names)]
    if missing:
        why = f"it holds no {' and no '.join(missing)} of Stable Diffusion 1.x"
        raise ConfigError(f"cannot load {path}", why, "pass a complete SD 1.5 checkpoint, or a diffusers folder")


def _telling(names: set[str]) -> list[str]:
    """The weights whose shapes tell one layout from another: the first convolution, the first key projection."""
    key = next((name for name in sorted(names) if name.endswith("attn2.to_k.weight") and name.startswith(UNET)), "")
    return ["input_blocks.0.0.weight", *([key.removeprefix(UNET)] if key else [])]


def _refuse_other_layout(path: Path, shapes: dict[str, list[int]], layout: Path) -> None:
    """Raises ConfigError for an inpainting model, SD 2 or XL: other inputs, widths or text encoders."""
    config = UNet2DConditionModel.load_config(layout / "unet")
    first, *keys = shapes.values()
    found = {"latent channels": first[1], "channels": first[0], "text width": keys[0][1] if keys else 0}
    expected = {
        "latent channels": config["in_channels"],
        "channels": config["block_out_channels"][0],
        "text width": config["cross_attention_dim"],
    }
    wrong = [f"{what} {found[what]} instead of {expected[what]}" for what in expected if found[what] != expected[what]]
    if wrong:
        fix = "pass an SD 1.5 checkpoint; other models as diffusers folders"
        raise ConfigError(f"{path} is not of the layout {layout.name}", "; ".join(wrong), fix)
