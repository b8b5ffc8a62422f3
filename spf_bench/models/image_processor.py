"""Hugging Face's own preparation of images for CLIP: the one that resizes with PIL."""

from typing import Any

import transformers


def pil_processor() -> Any:
    """Return its class, which transformers 4 called ``CLIPImageProcessor``; 5 gives that name to one for tensors."""
    return getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
