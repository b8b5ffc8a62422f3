"""The frozen CLIP that response enhancement and phrase relevance are measured with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPModel

from spf_train.errors import ConfigError, explained
from spf_train.hub import snapshot
from spf_train.suitability import check_clip

PARTS = ("*.json", "merges.txt", "model*.safetensors")
MODES = {2: "bilinear", 3: "bicubic"}  # PIL's numbers, as preprocessor_config.json has them


@dataclass(frozen=True)
class Preprocessing:
    """CLIP's image preprocessing as a differentiable function, read from preprocessor_config.json.

    size: the shortest edge after resizing, in pixels.
    crop: the side of the square centre crop; None leaves the image as it is.
    mean, std: of each colour channel, for values in [0, 1].
    mode: "bilinear" or "bicubic", antialiased.
    """

    size: int
    crop: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str = "bicubic"

    @classmethod
    def from_folder(cls, folder: Path) -> Preprocessing:
        """Reads a saved CLIPImageProcessor. Raises ConfigError if the folder has none."""
        path = Path(folder) / "preprocessor_config.json"
        if not path.is_file():
            fix = "save the CLIPImageProcessor beside the model"
            raise ConfigError("cannot read how CLIP wants its images", f"there is no {path}", fix)
        config = json.loads(path.read_text())
        crop = _side(config.get("crop_size", config["size"])) if config.get("do_center_crop", True) else None
        mode = MODES.get(config.get("resample", 3), "bicubic")
        return cls(_side(config["size"]), crop, tuple(config["image_mean"]), tuple(config["image_std"]), mode)

    def __call__(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [0, 1] to CLIP's input [B, 3, crop, crop]."""
        height, width = images.shape[2:]
        if min(height, width) != self.size:
            scale = self.size / min(height, width)
            shape = (round(height * scale), round(width * scale))
            images = F.interpolate(images, shape, mode=self.mode, align_corners=False, antialias=True)
        if self.crop is not None:
            images = centre_crop(images, self.crop)
        mean = images.new_tensor(self.mean).view(1, -1, 1, 1)
        return (images - mean) / images.new_tensor(self.std).view(1, -1, 1, 1)


class FrozenClip(nn.Module):
    """CLIP's two towers; its weights never train, but gradients pass through the image tower."""

    def __init__(self, model: CLIPModel, tokenizer: Any, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing

    @classmethod
    def from_pretrained(cls, source: str | Path) -> FrozenClip:
        """Loads a CLIPModel, its tokenizer and its image processor's config, from a folder or a Hub id.

        Raises ConfigError if it is nowhere, lacks one of them, or they do not fit together.
        """
        folder = resolve_clip(source)
        with explained(f"cannot load the CLIP {source}", "pass a saved CLIPModel with its tokenizer"):
            model = CLIPModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            clip = cls(model, tokenizer, Preprocessing.from_folder(folder))
        check_clip(clip, source)
        return clip

    def embed_images(self, images: Tensor) -> Tensor:
        """E_I: unit-norm embeddings [B, E] of images [B, 3, H, W] in [0, 1]; differentiable."""
        pixels = self.preprocessing(images)
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.model.visual_projection(pooled).float(), dim=-1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str], batch: int = 256) -> Tensor:
        """E_T: unit-norm embeddings [N, E] of texts, cut at CLIP's context."""
        parts = [self._embed_texts(texts[i : i + batch]) for i in range(0, len(texts), batch)]
        return torch.cat(parts)

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        ids = tokens["input_ids"].to(self.model.device)
        pooled = self.model.text_model(input_ids=ids).pooler_output
        return F.normalize(self.model.text_projection(pooled).float(), dim=-1)


def resolve_clip(source: str | Path) -> Path:
    """The folder of a CLIP: the one given, or a Hub id's snapshot. Raises ConfigError if it is nowhere."""
    return Path(source) if Path(source).is_dir() else snapshot(str(source), PARTS)


def find_clip(source: str | Path) -> None:
    """Looks for a CLIP without loading its weights; a Hub id that the cache lacks is downloaded.

    Raises ConfigError if it is nowhere, is no CLIPModel, or lacks its image processor's config.
    """
    folder = resolve_clip(source)
    with explained(f"cannot load the CLIP {source}", "pass a saved CLIPModel with its tokenizer"):
        kind = json.loads((folder / "config.json").read_text()).get("model_type", "clip")
        if kind != "clip":
            raise ValueError(f"its config.json says {kind}")
        Preprocessing.from_folder(folder)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """The central side x side pixels of images [B, C, H, W], neither edge below `side`."""
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    return images[:, :, top : top + side, left : left + side]


def _side(size: Any) -> int:
    """An edge length as image processors save it: 224, {"shortest_edge": 224}, {"height": 224, ...}."""
    return int(next(iter(size.values()))) if isinstance(size, dict) else int(size)
