"""The HPSv2 network: a CLIP fine-tuned on human choices, its cosine read as quality given the text.

Source: Wu et al., "Human Preference Score v2", arXiv:2306.09341. The full size is a CLIP ViT-H/14; the
portrait world trains a small one.
"""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from transformers import CLIPModel


class HPSModel(nn.Module):
    """Preference score of an image for a text: the cosine of their CLIP embeddings, without logit scale."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load the CLIP of ``folder`` in float32 and evaluation mode."""
        return cls(CLIPModel.from_pretrained(folder, dtype=torch.float32)).eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the CLIP as Hugging Face does."""
        self.clip.save_pretrained(folder)

    def forward(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
        """Raw scores [B] in [-1, 1] of pixels [B, 3, H, W] for token ids [B, L]."""
        out = self.clip(pixel_values=pixel_values, input_ids=input_ids)
        return (out.image_embeds * out.text_embeds).sum(dim=-1)
