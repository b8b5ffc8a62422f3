"""What predictions put together from the original model and stage 1's give, before anything is trained towards them.

    python -m benchmarks.composite --stage1 FOLDER [--limit 128] [--out FILE.json]

FOLDER is a finished stage 1 (`runs/cache/checkpoints/stage1-HASH`). Validation triples of the world are sampled with
each composite in the UNet's place, the original model's unconditional branch beside it, and read by the judge: how
often the target has come (hit), and how many unrelated attributes stayed (kept). It bounds what a stage 2 that learns
the composite can reach.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from spf_bench.metrics.attributes import Reader
from spf_bench.metrics.hit_rate import HitRate
from spf_bench.metrics.kept import Kept
from spf_bench.metrics.world import JudgeEncoder
from spf_bench.models.backbone import Backbone
from spf_bench.scoring.one_pass import Pair, score
from spf_bench.suite import get_suite
from spf_bench.triple import Triple, image
from spf_bench.world.testset import build
from spf_train.control_map import soft_map

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(reference path, stage 1 with the target text, stage 1 without it) -> prediction; all [B, C, h, w]."""


def released(told: Tensor, untold: Tensor) -> Tensor:
    """The soft map of the text [B, 1, h, w]."""
    return soft_map(untold, told, "quantile")


MIXES: dict[str, Mix] = {
    "reference path": lambda base, told, untold: base,
    "stage 1": lambda base, told, untold: told,
    "stage 1 where the map releases, else reference": lambda base, told, untold: (
        base + released(told, untold) * (told - base)
    ),
    "reference + change": lambda base, told, untold: base + (told - untold),
    "reference + change where the map releases": lambda base, told, untold: (
        base + released(told, untold) * (told - untold)
    ),
    "reference + 1.5 change": lambda base, told, untold: base + 1.5 * (told - untold),
    "reference + 2 change": lambda base, told, untold: base + 2 * (told - untold),
}


class Composite:
    """Stands in a UNet's place under guidance: [negative, complete] in, the original's and the mixed prediction out."""

    def __init__(self, original: Any, first: Any, mix: Mix) -> None:
        self.original, self.first, self.mix = original, first, mix
        self.base = torch.empty(0)

    def __call__(self, latents: Tensor, t: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        """Predict for latents [2B, C, h, w] and their texts [2B, L, D]."""
        negative, complete = encoder_hidden_states.chunk(2)
        away, base = self.original(latents, t, encoder_hidden_states=torch.cat([negative, self.base])).sample.chunk(2)
        told, untold = self.first(latents, t, encoder_hidden_states=torch.cat([complete, self.base])).sample.chunk(2)
        return SimpleNamespace(sample=torch.cat([away, self.mix(base, told, untold)]))


def draw(backbone: Backbone, composite: Composite, triples: Sequence[Triple], folder: Path) -> None:
    """Writes each triple's portrait, 32 at a time."""
    folder.mkdir()
    backbone.pipe.unet = composite  # the sampling loop asks nothing of it but a prediction
    for start in range(0, len(triples), 32):
        part = triples[start : start + 32]
        composite.base = backbone.encode([triple.base for triple in part])
        noise = torch.stack([backbone.noise_for(triple) for triple in part])
        pictures = backbone.render(backbone.encode([triple.prompt for triple in part]), noise)
        for triple, picture in zip(part, pictures, strict=True):
            Image.fromarray(picture.numpy()).save(image(folder, triple))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage1", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=128)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    suite = get_suite("world")
    triples = build("world-val")[: asked.limit]
    backbone = Backbone.from_folder(suite.pipeline, suite.sampling)
    original = backbone.unet
    backbone.use_unet(asked.stage1 / "unet")
    first = backbone.unet
    reader = Reader(JudgeEncoder.from_pretrained(suite.judge("judge"), "cpu"))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for i, (name, mix) in enumerate(MIXES.items()):
            draw(backbone, Composite(original, first, mix), triples, Path(folder) / str(i))
            first_folder, own = Path(folder) / "0", Path(folder) / str(i)  # the first mix makes the original portraits
            pairs = [Pair(triple, image(first_folder, triple), image(own, triple)) for triple in triples]
            table = score(pairs, [HitRate(reader), Kept(reader)]).table
            found[name] = {key: round(float(table[key].mean()), 1) for key in ("hit_rate", "kept")}
            print(f"{name:48} hit {found[name]['hit_rate']:5.1f}   kept {found[name]['kept']:5.1f}", flush=True)
    if asked.out is not None:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
