"""MPS: how much would people like this image for its text, looking at named aspects?

Paper: Zhang et al., CVPR 2024, arXiv:2405.14705. Weights: the overall checkpoint on CLIP ViT-H/14 (MIT) in
the paper suite; the same network, small and trained on synthetic preferences, in the world. Range: at most
the CLIP's logit scale (100) either way, published raw values 5 to 15, higher is better. The published
table's .67 to 1.49 cannot be this score as it stands, nor the probability derived from it: not comparable.
A text token counts as visible from .3 of its text's best match with the aspects on, as in the authors'
evaluation scripts (their README path has .01), and each text by itself, where they divide by the batch's best.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor
from transformers import CLIPTokenizerFast

from spf_bench.files.store import folder_sha256
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import CLIP_224, Preprocess, tokenize
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.mps_model import MPSConfig, MPSModel
from spf_bench.metrics.mps_released import load_released

__all__ = ["MPS", "MPSConfig", "MPSEncoder", "MPSModel"]


class MPSEncoder:
    """The MPS network as the metrics use it: each image encoded once, then matched with any text."""

    name = "mps"
    compact = False  # its tokens take a megabyte an image; what it says of an original and its text is a number
    code = tuple(f"spf_bench.metrics.{module}" for module in ("mps", "mps_model", "cross_modal", "clip_encoder"))

    def __init__(self, model: MPSModel, tokenizer: CLIPTokenizerFast, preprocess: Preprocess, digest: str = "") -> None:
        self.model, self.tokenizer, self.preprocess, self.digest = model.eval(), tokenizer, preprocess, digest
        weight = model.model.visual_projection.weight
        self.device, self.dtype = weight.device, weight.dtype

    @classmethod
    def from_pretrained(
        cls, folder: Path, device: str, digest: str | None = None, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load a folder with the network, tokenizer and image processor; computes in ``dtype``."""
        tokenizer = CLIPTokenizerFast.from_pretrained(folder)
        model = MPSModel.from_pretrained(folder).computing_in(device, dtype)
        return cls(model, tokenizer, Preprocess.from_pretrained(folder), digest or folder_sha256(folder))

    @classmethod
    def from_weights(
        cls, path: Path, tokenizer: Path, device: str, digest: str, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load the released state dict, and the tokenizer of a folder of OpenAI's CLIP, which is CLIP-H's too.

        Raises:
            UserError: The file is of another network.
        """
        model = load_released(path).computing_in(device, dtype)
        return cls(model, CLIPTokenizerFast.from_pretrained(tokenizer), CLIP_224, digest)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``tokens`` [B, N, D]."""
        pixels = self.preprocess(images).to(self.device, self.dtype)
        return {"tokens": self.model.encode_image(pixels)}

    def read(self, images: Image, texts: Sequence[str]) -> Outputs:
        """RGB images [B, H, W, 3] uint8, each with its text -> ``score`` [B], raw."""
        (scores,) = self.match([self.encode(images)["tokens"]], texts)
        return {"score": scores}

    @torch.inference_mode()
    def match(self, images: Sequence[Tensor], texts: Sequence[str]) -> list[Tensor]:
        """Score several sets of image tokens [B, N, D] for the same texts; raw scores [B] each."""
        text, pooled = self.model.encode_text(tokenize(self.tokenizer, texts).to(self.device))
        condition = tokenize(self.tokenizer, [self.model.config.condition]).to(self.device)
        aspects, _ = self.model.encode_text(condition)
        return [self.model.match(image, text, pooled, aspects) for image in images]


class MPS(Metric):
    """Raw preference score of the customised image for its text, and its odds against the original."""

    key, title, group = "mps", "MPS", Group.overall
    higher_is_better, bounds, decimals = True, (None, None), 2
    source = "arXiv:2405.14705"
    licence = "MIT"
    comparable = "no: the published scale is unknown"
    secondary: ClassVar[Mapping[str, str]] = {"mps_win": "chance of being preferred to the original"}

    def __init__(self, encoder: MPSEncoder) -> None:
        self.encoder = encoder
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return raw scores [B] and win probabilities [B]: the softmax over the pair's raw scores."""
        custom, original = (side.read(self.encoder, batch.prompts)["score"] for side in (batch.custom, batch.original))
        return {self.key: custom, "mps_win": torch.sigmoid(custom - original)}
