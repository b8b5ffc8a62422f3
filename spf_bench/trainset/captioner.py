"""A captioning model of transformers' choice: images in, one caption each out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image as PILImage

from spf_bench.errors import explained
from spf_bench.files.pickles import allowed

ASK = (
    "Describe this portrait in one line of short phrases separated by commas: who it is, hair, clothes, what they do, "
    "the place, the light. Do not mention: {target}."
)
"""What models that follow instructions are asked; others caption unasked."""
LONGEST = 64
"""Tokens of a caption."""


@dataclass(frozen=True)
class Halves:
    """An image processor and a tokenizer that no processor joins: so come models made of two, as ViT-GPT2 is."""

    images: Any
    texts: Any
    chat_template: ClassVar[None] = None

    def __call__(self, **given: Any) -> Any:
        """Return the image as the model reads it."""
        return self.images(**given)

    def decode(self, ids: torch.Tensor, **how: Any) -> str:
        """Return what the model said."""
        return str(self.texts.decode(ids, **how))


@dataclass(frozen=True)
class Captioner:
    """An image-to-text model of transformers' with its processor."""

    model: Any
    processor: Any
    device: str

    @classmethod
    def load(cls, folder: Path, device: str, dtype: str) -> Self:
        """Load a folder in Hugging Face's layout and let it caption a black image; no code of its own is run.

        Raises:
            UserError: transformers cannot load it as an image-to-text model, or it wants more than an image.
        """
        from transformers import AutoModelForImageTextToText

        offline = {"local_files_only": True, "trust_remote_code": False}
        safe = None if allowed() else True  # a pickle that the user allows is read as tensors alone
        with explained(f"{folder} cannot caption", "give an image-to-text model of transformers"):
            processor = _processor(folder, offline)
            model = AutoModelForImageTextToText.from_pretrained(folder, **offline, dtype=dtype, use_safetensors=safe)
            found = cls(model.eval().to(device), processor, device)
            found.describe(np.zeros((1, 64, 64, 3), np.uint8), ["a hat"])  # better now than after a day of painting
        return found

    @torch.inference_mode()
    def describe(self, images: np.ndarray, targets: Sequence[str]) -> list[str]:
        """Return one caption for each RGB image [B, H, W, 3] uint8; greedy, so the same every time."""
        found = []
        for image, target in zip(images, targets, strict=True):
            given = self._inputs(PILImage.fromarray(image), target).to(self.device, self.model.dtype)
            ids = self.model.generate(**given, do_sample=False, num_beams=1, max_new_tokens=LONGEST)
            start = given["input_ids"].shape[1] if "input_ids" in given and not _answers_alone(self.model) else 0
            found.append(self.processor.decode(ids[0, start:], skip_special_tokens=True))
        return found

    def _inputs(self, image: PILImage.Image, target: str) -> Any:
        if not getattr(self.processor, "chat_template", None):
            return self.processor(images=image, return_tensors="pt")
        content = [{"type": "image", "image": image}, {"type": "text", "text": ASK.format(target=target)}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip


def _processor(folder: Path, offline: dict[str, bool]) -> Any:
    from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

    found = AutoProcessor.from_pretrained(folder, **offline)
    if hasattr(found, "image_processor"):
        return found
    return Halves(*(half.from_pretrained(folder, **offline) for half in (AutoImageProcessor, AutoTokenizer)))


def _answers_alone(model: Any) -> bool:
    """Say whether the model returns its answer without what it was asked: those with an encoder for the question."""
    return bool(getattr(model.config, "is_encoder_decoder", False))
