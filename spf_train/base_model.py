"""Base models: diffusers folders, Hub ids, and single-file checkpoints in Stable Diffusion's own layout."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from spf_train import variants
from spf_train.errors import ConfigError, explained
from spf_train.hub import snapshot
from spf_train.identity import files_digest, weights_digest
from spf_train.single_file import SD15, load_single_file, refuse_pickle
from spf_train.suitability import check_pipeline

Source = str | Path
# What a pipeline of the Stable Diffusion 1.x family is made of; the safety checker is not needed.
PARTS = ("model_index.json", "scheduler/*", "tokenizer/*", "text_encoder/*", "unet/*", "vae/*")
# What of them decides the encodings and the target of the UNet; pickles are never loaded.
SURROUNDINGS = (
    "scheduler/*.json",
    "tokenizer/*.json",
    "tokenizer/*.txt",
    "text_encoder/*.json",
    "text_encoder/*.safetensors",
    "vae/*.json",
    "vae/*.safetensors",
)


def load_pipeline(
    base: Source,
    device: str | None = None,
    dtype: torch.dtype = torch.float32,
    prediction_type: str | None = None,
    layout: Path = SD15,
) -> Any:
    """A StableDiffusionPipeline on the device, every part frozen, from any base model that `resolve` knows.

    device: as torch names it; None takes CUDA where there is one.
    dtype: of all three networks.
    prediction_type: "epsilon", "v_prediction" or "sample"; None believes the folder's scheduler or the file's
        metadata, and where a file says nothing, takes "epsilon".
    layout: the folder of configs that a single file goes with.
    Raises ConfigError if there is no such model, or it cannot be trained with.
    """
    path = resolve(base)
    pipe = load_single_file(path, layout) if path.is_file() else _load_folder(path)
    check_pipeline(pipe, base)
    if prediction_type is not None:
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, prediction_type=prediction_type)
    for part in (pipe.vae, pipe.text_encoder, pipe.unet):
        cast(part, dtype).eval().requires_grad_(False)
    pipe.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    for part in (pipe.vae, pipe.unet):
        part.to(memory_format=torch.channels_last)  # convolutions run faster so, on CPU and GPU alike
    return pipe


def resolve(base: Source) -> Path:
    """Where a base model lies: its folder, its .safetensors file, or a Hub id's snapshot, fetched if need be.

    Raises ConfigError if it is nowhere, or a pickle.
    """
    path = Path(base)
    if path.is_file():
        refuse_pickle(path)
    elif (path / "model_index.json").is_file():
        _refuse_pickled_parts(path)
    elif path.exists():
        fix = "pass the folder of a saved StableDiffusionPipeline, a .safetensors file or a Hub id"
        raise ConfigError(f"{base} is no pipeline", "it has no model_index.json", fix)
    else:
        return snapshot(str(base), PARTS)
    return path


def base_digest(base: Source) -> str:
    """SHA-256 of what a base model's UNet is loaded from: its folder's weights, or the single file."""
    path = resolve(base)
    if not path.is_file():
        return weights_digest(unet_folder(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def surroundings_digest(base: Source) -> str | None:
    """SHA-256 of what a base model's folder has around its UNet; None of a single file, which `base_digest` covers."""
    path = resolve(base)
    return None if path.is_file() else files_digest(path, SURROUNDINGS)


def unet_folder(folder: Path) -> Path:
    """The UNet's own folder, given it, a pipeline's or a stage's. Raises ConfigError if there is none."""
    for candidate in (Path(folder) / "unet", Path(folder)):
        if (candidate / "config.json").is_file():
            return candidate
    raise ConfigError(f"{folder} holds no UNet", "neither it nor its unet/ has a config.json", "check the path")


def adapter_beside(folder: Path) -> Path | None:
    """The adapter that a run has left beside its UNet, in any folder `unet_folder` knows; None where there is none."""
    path = unet_folder(folder)
    file = path.parent / variants.ADAPTER_FILE
    return file if path.name == "unet" and file.is_file() else None


def load_unet(folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
    """The UNet2DConditionModel of any folder `unet_folder` knows, with the adapter a run may have left beside it."""
    path = unet_folder(folder)
    with explained(f"cannot load the UNet {path}", "copy it again, or train it again"):
        unet: Any = UNet2DConditionModel.from_pretrained(path, use_safetensors=True, local_files_only=True)
    cast(unet, dtype).to(device).to(memory_format=torch.channels_last)
    if adapter_beside(folder) is not None:
        variants.load(unet, path.parent)
    return unet


def cast(network: Any, dtype: torch.dtype) -> Any:
    """The network in another floating type, whichever its weights were saved in."""
    return nn.Module.to(network, dtype)  # diffusers' own `to` warns of layers to keep in fp32 where there are none


def _load_folder(path: Path) -> Any:
    """A saved pipeline. Raises ConfigError naming what diffusers stumbled over."""
    unguarded = {"safety_checker": None, "requires_safety_checker": False}
    with explained(f"cannot load the pipeline {path}", "save it again, or fetch it anew"):
        return StableDiffusionPipeline.from_pretrained(path, **unguarded, use_safetensors=True, local_files_only=True)


def _refuse_pickled_parts(folder: Path) -> None:
    """Raises ConfigError naming the parts of a pipeline that have weights as pickles only."""
    parts = [part for part in ("unet", "vae", "text_encoder") if not list((folder / part).glob("*.safetensors"))]
    if parts:
        why = f"{', '.join(parts)} of it have no .safetensors weights, and a pickle can run code when it is opened"
        fix = "save the pipeline with diffusers' save_pretrained, which writes .safetensors"
        raise ConfigError(f"cannot load {folder}", why, fix)
