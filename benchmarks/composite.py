"""What can a stage 2 reach that learns to put the original model's predictions and stage 1's together?

    python -m benchmarks.composite [--stage1 FOLDER] [--limit 128]

FOLDER is a finished stage 1; by default the newest of `runs/cache/checkpoints/stage1-HASH`. Validation triples of the
world are sampled with each composite in the UNet's place, the original model's unconditional branch beside it, and
read by the judge: how often the target has come (hit), and how many unrelated attributes stayed (kept).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.measure import keep, options
from spf_bench.environment import quiet
from spf_bench.metrics.attributes import Reader
from spf_bench.metrics.hit_rate import HitRate
from spf_bench.metrics.kept import Kept
from spf_bench.metrics.world import JudgeEncoder
from spf_bench.models.backbone import Backbone
from spf_bench.scoring.one_batch import Pair
from spf_bench.scoring.one_pass import score
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
    quiet()
    parser = options(__doc__)
    parser.add_argument("--stage1", type=Path)
    parser.add_argument("--limit", type=int, default=128)
    asked = parser.parse_args(arguments)
    suite, mixes = get_suite("world"), MIXES
    if asked.quick:
        asked.limit, asked.stage1, mixes = 2, suite.pipeline, dict(list(MIXES.items())[:2])
    asked.stage1 = asked.stage1 or newest(Path("runs/cache/checkpoints"))
    if asked.stage1 is None:
        parser.error("no finished stage 1 in runs/cache/checkpoints: --stage1 FOLDER, or spf-bench run --method naive")
    triples = build("world-val")[: asked.limit]
    sampling = replace(suite.sampling, steps=1) if asked.quick else suite.sampling
    backbone = Backbone.from_folder(suite.pipeline, sampling)
    original = backbone.unet
    backbone.use_unet(asked.stage1 / "unet")
    first = backbone.unet
    reader = Reader(JudgeEncoder.from_pretrained(suite.judge("judge"), "cpu"))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for i, (name, mix) in enumerate(mixes.items()):
            draw(backbone, Composite(original, first, mix), triples, Path(folder) / str(i))
            first_folder, own = Path(folder) / "0", Path(folder) / str(i)  # the first mix makes the original portraits
            pairs = [Pair(triple, image(first_folder, triple), image(own, triple)) for triple in triples]
            table = score(pairs, [HitRate(reader), Kept(reader)]).table
            found[name] = {key: round(float(table[key].mean()), 1) for key in ("hit_rate", "kept")}
            print(f"{name:48} hit {found[name]['hit_rate']:5.1f}   kept {found[name]['kept']:5.1f}", flush=True)
    keep(__doc__, asked, found)


def newest(folder: Path) -> Path | None:
    """The stage 1 that was finished last."""
    found = sorted(folder.glob("stage1-*/unet"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else None


if __name__ == "__main__":
    main()
