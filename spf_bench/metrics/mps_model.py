"""The MPS network: a CLIP whose image tokens are read through the text they are judged by.

Source: Zhang et al., CVPR 2024 (arXiv:2405.14705), released code. The full size is a CLIP ViT-H/14 with 4
layers of 16 heads of 64 (118,497,280 parameters above CLIP); the portrait world trains the same network
small.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from spf_bench.metrics.cross_modal import CrossModel

OVERALL_CONDITION = (
    "light, color, clarity, tone, style, ambiance, artistry, shape, face, hair, hands, limbs, structure, "
    "instance, texture, quantity, attributes, position, number, location, word, things."
)


@dataclass(frozen=True)
class MPSConfig:
    """Sizes of an MPS network and the text that opens its mask."""

    clip: dict[str, Any]
    """Configuration of the CLIP, as ``CLIPConfig.to_dict``."""
    layers: int = 4
    """Pairs of cross-attention and self-attention."""
    heads: int = 16
    """Query heads; keys and values have one."""
    dim_head: int = 64
    """Channels per head, even."""
    ff_mult: int = 4
    """Hidden width of the feed-forward over the CLIP's projection width."""
    theta: float = 0.3
    """A text token is visible where its match with the condition exceeds this share of the best match."""
    condition: str = OVERALL_CONDITION
    """The aspects to be judged; the published checkpoint knows only this one."""


class MPSModel(nn.Module):
    """Preference score of an image for a text, the same whatever else is in the batch."""

    def __init__(self, config: MPSConfig) -> None:
        super().__init__()
        self.config = config
        self.model = CLIPModel(CLIPConfig.from_dict(config.clip))
        dim = self.model.visual_projection.out_features
        self.cross_model = CrossModel(dim, config.layers, config.heads, config.dim_head, config.ff_mult)

    @classmethod
    def create(cls, clip: CLIPModel, **sizes: Any) -> Self:
        """Put untrained cross-modal layers on a copy of ``clip``; ``sizes`` are fields of `MPSConfig`."""
        model = cls(MPSConfig(clip=clip.config.to_dict(), **sizes))
        model.model.load_state_dict(clip.state_dict())
        return model

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load ``config.json`` and ``model.safetensors``, in float32 and evaluation mode."""
        folder = Path(folder)
        model = cls(MPSConfig(**json.loads((folder / "config.json").read_text())))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write ``config.json`` and ``model.safetensors``; ``dtype`` casts the floating-point weights."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2, default=str) + "\n")
        state = {
            name: (t.to(dtype) if dtype and t.is_floating_point() else t).detach().cpu().contiguous()
            for name, t in self.state_dict().items()
        }
        save_file(state, folder / "model.safetensors")

    def computing_in(self, device: str, dtype: torch.dtype) -> Self:
        """Move it to ``device`` and its weights into ``dtype``, all but the logit scale, which stays as it is."""
        scale = self.model.logit_scale.detach().clone()
        self.to(device, dtype)
        self.model.logit_scale = nn.Parameter(scale.to(device))
        return self

    def encode_image(self, pixel_values: Tensor) -> Tensor:
        """Pixels [B, 3, H, W], normalised as CLIP's -> projected tokens [B, 1 + patches, D].

        The tokens skip CLIP's final layer norm, which Hugging Face applies to the pooled token alone.
        """
        hidden = self.model.vision_model(pixel_values=pixel_values).last_hidden_state
        return self.model.visual_projection(hidden)

    def encode_text(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids [B, L], padded to CLIP's context -> projected tokens [B, L, D] and pooled text [B, D].

        Padding is neither masked nor dropped, as in the released scorer.
        """
        out = self.model.text_model(input_ids=input_ids)
        project = self.model.text_projection
        return project(out.last_hidden_state), project(out.pooler_output)

    def match(self, image: Tensor, text: Tensor, pooled: Tensor, condition: Tensor) -> Tensor:
        """Score image tokens [B, N, D] for texts [B, L, D], [B, D] under [B or 1, C, D]: raw scores [B]."""
        seen = self.cross_model(image, text, visible_tokens(text, condition, self.config.theta))[:, 0]
        # In half the digits 100 would be 99, and scores would go in steps of a sixteenth.
        return self.model.logit_scale.float().exp() * F.cosine_similarity(pooled.float(), seen.float(), dim=-1)

    def forward(self, pixel_values: Tensor, input_ids: Tensor, condition_ids: Tensor) -> Tensor:
        """Raw scores [B]: cosines times the logit scale, at most 100; published values are about 5 to 15.

        ``pixel_values`` is [B, 3, H, W], ``input_ids`` [B, L], ``condition_ids`` [B, L] or [1, L].
        """
        text, pooled = self.encode_text(input_ids)
        condition, _ = self.encode_text(condition_ids)
        return self.match(self.encode_image(pixel_values), text, pooled, condition)


def visible_tokens(text: Tensor, condition: Tensor, theta: float) -> Tensor:
    """Mark text tokens [B, L] that match a condition token by more than ``theta`` of their row's best match.

    ``text`` is [B, L, D], ``condition`` [B or 1, C, D]. The released code divides by the best of the whole
    batch, which makes a score depend on its batch mates; here each row has its own. Raises ValueError where
    no token matches, which the released code turns into NaN.
    """
    match = (text @ condition.transpose(1, 2)).amax(dim=-1)
    best = match.amax(dim=-1, keepdim=True)
    if not bool((best > 0).all()):
        raise ValueError("a text matches no token of the condition: MPS has nothing to look at")
    return match > theta * best
