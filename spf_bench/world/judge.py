"""The judge: one small network that reads attributes, embeds identity and labels the parts of a portrait."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spf_bench.world.portrait import ATTRIBUTES, PARTS

IDENTITY_FIELDS = ("subject", "skin", "hair_style", "hair_color", "eyes")
"""What makes two portraits show the same person; everything else may change."""


@dataclass(frozen=True)
class JudgeOutput:
    """What the judge sees in a batch of B portraits."""

    attributes: dict[str, Tensor]
    """For each attribute, logits [B, values] in the order of `ATTRIBUTES`."""
    identity: Tensor
    """Identity embedding [B, 64], unit norm; cosine in [-1, 1]."""
    parts: Tensor
    """Logits [B, parts, 64, 64] in the order of `PARTS`."""
    stages: list[Tensor]
    """Feature maps of the four stages [B, C, h, w], fine to coarse, as LPIPS compares them."""
    pooled: Tensor
    """Pooled features [B, 128] of the last stage, as FID compares them."""


class Judge(nn.Module):
    """A residual network with three heads; images [B, 3, 64, 64] in [-1, 1].

    Trained on renders of the `judge` distribution, never on generated portraits.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        ins = (12, *self.widths[:-1])  # 2x2 pixels folded into channels
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(i, o, stride=1 if n == 0 else 2), *(_Residual(o) for _ in range(1 + (n < 3))))
            for n, (i, o) in enumerate(zip(ins, self.widths, strict=True))
        )
        wide = self.widths[-1]
        self.attributes = nn.ModuleDict({name: nn.Linear(2 * wide, len(v)) for name, v in ATTRIBUTES.items()})
        self.identity = nn.Sequential(nn.Linear(2 * wide, wide), nn.SiLU(), nn.Linear(wide, 64))
        self.lateral = nn.ModuleList(nn.Conv2d(width, 48, 1) for width in self.widths)
        self.paint = nn.Sequential(_conv(48, 48), nn.Conv2d(48, 4 * len(PARTS), 3, padding=1), nn.PixelShuffle(2))

    def forward(self, images: Tensor) -> JudgeOutput:
        """Looks at images [B, 3, 64, 64] in [-1, 1]; raises ValueError at any other size."""
        if images.shape[1:] != (3, 64, 64):
            raise ValueError(f"the judge sees images [B, 3, 64, 64], not {tuple(images.shape)}")
        stages = []
        x = F.pixel_unshuffle(images, 2)
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        pooled = x.mean(dim=(2, 3))
        both = torch.cat([pooled, x.amax(dim=(2, 3))], dim=1)
        top = self.lateral[-1](stages[-1])
        for lateral, features in zip(list(self.lateral)[-2::-1], stages[-2::-1], strict=True):
            top = lateral(features) + F.interpolate(top, scale_factor=2.0, mode="nearest")
        return JudgeOutput(
            attributes={name: head(both) for name, head in self.attributes.items()},
            identity=F.normalize(self.identity(both).float(), dim=1),
            parts=self.paint(top),
            stages=stages,
            pooled=pooled,
        )

    def save_pretrained(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Writes config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {"widths": self.widths, "attributes": ATTRIBUTES, "parts": PARTS}
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        weights = {name: tensor.to(dtype).contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Judge:
        """Loads a saved judge, in single precision; raises ValueError where its attributes are not today's."""
        config = json.loads((Path(folder) / "config.json").read_text())
        if {name: tuple(v) for name, v in config["attributes"].items()} != ATTRIBUTES:
            raise ValueError(f"{folder}: this judge was trained for other attributes; run `spf-bench world build`")
        judge = cls(tuple(config["widths"]))
        judge.load_state_dict({k: v.float() for k, v in load_file(Path(folder) / "model.safetensors").items()})
        return judge.eval()


def _conv(ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outs), nn.SiLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(8, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.body(x))
