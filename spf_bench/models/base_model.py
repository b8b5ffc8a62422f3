"""Base models of the Stable Diffusion 1.x family: a folder in diffusers' layout, or a single ``.safetensors`` file."""

import json
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from transformers import CLIPTokenizer

from spf_bench.errors import UserError, explained
from spf_bench.files.pickles import allowed, is_pickle, refuse_pickles

SD15 = Path(__file__).parents[1] / "configs" / "sd15"
INDEX = "model_index.json"
FAMILY = "StableDiffusionPipeline"
OTHER = "give a Stable Diffusion 1.x: a folder in diffusers' layout, a .safetensors file, or its name on the Hub"
PREDICTION = "modelspec.prediction_type"  # ModelSpec's name for it in a file's metadata
# Its words there, and diffusers'; the trainer writes "sample" as diffusers has it.
PREDICTIONS = dict.fromkeys(("v", "v_prediction", "v-prediction"), "v_prediction") | {"sample": "sample"}
V_MARKER, ZERO_SNR_MARKER = "v_pred", "ztsnr"  # empty tensors by which files say it that have no such metadata
# The guard would blacken portraits at random and tie an image to a network that no method touches.
UNGUARDED = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def load_pipeline(path: Path, layout: Path = SD15) -> Any:
    """Load a StableDiffusionPipeline on the CPU, without its safety checker; no network is asked.

    Args:
        path: The model's folder, or its single file.
        layout: Folder of the configs that a single file goes with, and of its tokenizer where that is not CLIP's.

    Raises:
        UserError: It is no such model, is incomplete, or a pickle that the user did not allow.
    """
    load = _load_file if path.is_file() else _load_folder
    with explained(f"cannot load the base model {path}", "fetch or save it again"):
        return load(path, layout)


def _load_folder(path: Path, layout: Path) -> Any:
    _refuse_other_families(path)
    refuse_pickles(path)
    kind = "fp16" if not _plain(path / "unet") else None
    safe = None if allowed() else True  # a pickle that the user allows is read as tensors alone
    return StableDiffusionPipeline.from_pretrained(
        path, local_files_only=True, variant=kind, use_safetensors=safe, **UNGUARDED
    )


def _refuse_other_families(path: Path) -> None:
    """Raise UserError unless the folder's index names the family."""
    if not (path / INDEX).is_file():
        raise UserError(f"{path} is no base model", f"it has no {INDEX}", OTHER)
    found = json.loads((path / INDEX).read_text(encoding="utf-8")).get("_class_name")
    if found != FAMILY:
        raise UserError(f"{path} is of another family", f"its {INDEX} says {found}", OTHER)


def _plain(unet: Path) -> bool:
    """Say whether the UNet's weights have their usual name; some folders on the Hub have those of 16 bits alone."""
    return any(".fp16." not in file.name for kind in ("safetensors", "bin") for file in unet.glob(f"*.{kind}"))


def _load_file(path: Path, layout: Path) -> Any:
    refuse_pickles(path)
    if path.suffix != ".safetensors" and not is_pickle(path):
        raise UserError(f"cannot load the base model {path}", "it is no .safetensors file", OTHER)
    said = {} if is_pickle(path) else _said(path)
    pipe = StableDiffusionPipeline.from_single_file(
        str(path), config=str(layout), local_files_only=True, tokenizer=tokenizer_of(layout), **UNGUARDED
    )
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **said)
    return pipe


def _said(path: Path) -> dict[str, Any]:
    """Return what a file's metadata and its empty tensors say of the schedule, as the trainer reads them."""
    with safe_open(path, framework="pt") as file:
        names, predicts = set(file.keys()), str((file.metadata() or {}).get(PREDICTION, "")).lower()
    settings: dict[str, Any] = {}
    if said := "v_prediction" if V_MARKER in names else PREDICTIONS.get(predicts):
        settings["prediction_type"] = said
    if ZERO_SNR_MARKER in names:
        settings["rescale_betas_zero_snr"] = True
    return settings


def tokenizer_of(layout: Path) -> Any:
    """Return the layout's tokenizer, or CLIP's, whose text encoder Stable Diffusion 1.x has."""
    from spf_bench.weights import path

    own = layout / "tokenizer"
    return CLIPTokenizer.from_pretrained(own if own.is_dir() else path("clip"))
