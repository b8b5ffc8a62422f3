"""How well does the control map find what a target text really changes, as the world's exact masks tell it?

    python -m benchmarks.map_truth [--stage1 FOLDER] [--samples 96]

FOLDER is a finished stage 1 (`runs/cache/checkpoints/stage1-HASH`); without it the response path is the original
model. For each way of making the map, and a few timesteps, the mean of M̂ inside and outside the region that the
target governs, and how often a place inside has the larger value (area under the ROC curve). Targets that restyle the
whole picture have no outside and are listed apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import keep, options
from spf_bench.environment import quiet
from spf_bench.suite import get_suite
from spf_bench.triple import Category
from spf_bench.world import distributions
from spf_bench.world.portrait import mask, render
from spf_train.config import SPFConfig, StageConfig, TrainConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.dual_path import DualPathStage, Pass
from spf_train.tap import CrossAttentionTap
from spf_train.train import load_stage2

TIMESTEPS = (150, 350, 500, 650, 800, 900)
INSIDE = 0.3  # share of a latent's cell from which on it belongs to the region
MAPS: dict[str, dict[str, Any]] = {
    "M, paths, min-max (Eq. 5)": {"soft_map": "paths", "soft_scale": "minmax"},
    "M, text, min-max": {"soft_map": "text", "soft_scale": "minmax"},
    "M, paths, quantile": {"soft_map": "paths", "soft_scale": "quantile"},
    "M, text, quantile": {"soft_map": "text", "soft_scale": "quantile"},
    "M̂ of the first, phrases min-max (Eq. 7)": {"phrase_map": "minmax"},
    "M̂ of the first, phrases by mass": {"phrase_map": "mass"},
    "M̂ of the last, phrases by mass, gammas centred at 0.95": {
        "soft_map": "text",
        "soft_scale": "quantile",
        "phrase_map": "mass",
        "gamma_center": 0.95,
    },
}


def regions(drawn: Sequence[Any], size: int) -> Tensor:
    """The share [N, size, size] of each latent cell that the samples' targets govern."""
    masks = [np.any([mask(one.portrait, name) for name in one.target.sets], axis=0) for one in drawn]
    return F.adaptive_avg_pool2d(torch.from_numpy(np.stack(masks)).float()[:, None], size)[:, 0]


def batches(prepared: Prepared, t: int) -> Iterator[Batch]:
    """All samples at timestep t, 32 at a time, always with the same noise."""
    generator = torch.Generator().manual_seed(0)
    for index in torch.arange(len(prepared)).split(32):
        batch = prepared.batch(index, generator, 1000)
        yield replace(batch, t=torch.full_like(batch.t, t))


@torch.no_grad()
def maps(stage: DualPathStage, prepared: Prepared, t: int, settings: dict[str, Any]) -> Tensor:
    """M, or M̂ where the settings name phrase maps [N, h, w]."""
    stage.config = SPFConfig(**settings)
    center = stage.config.gamma_center
    stage.gamma_shift = 0.0 if center is None else center - prepared.mean_cosine
    found = []
    for batch in batches(prepared, t):
        x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        with CrossAttentionTap(stage.unet) as tap:
            output = stage.predict(batch, x_t)
        stage.released_area(batch, x_t, stage.reference_path(batch, x_t), Pass(output, tap.layers))
        kept = stage.released if "phrase_map" in settings else stage.soft
        assert kept is not None
        found.append(kept[:, 0])
    return torch.cat(found)


def measure(found: Tensor, truth: Tensor) -> dict[str, float]:
    """Means inside and outside, and the area under the ROC curve, averaged over samples [N, h, w]."""
    inside = (found * truth).sum(dim=(1, 2)) / truth.sum(dim=(1, 2))
    outside = (found * (1 - truth)).sum(dim=(1, 2)) / (1 - truth).sum(dim=(1, 2)).clamp(min=1e-6)
    areas = []
    for one, region in zip(found, truth > INSIDE, strict=True):
        if region.any() and not region.all():
            pairs = one[region][:, None] - one[~region][None]
            areas.append(((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean())
    return {
        "inside": inside.mean().item(),
        "outside": outside.mean().item(),
        "auc": torch.stack(areas).mean().item() if areas else float("nan"),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write it as JSON where asked to."""
    quiet()
    parser = options(__doc__)
    parser.add_argument("--stage1", type=Path)
    parser.add_argument("--samples", type=int, default=96)
    asked = parser.parse_args(arguments)
    ways, times = MAPS, list(TIMESTEPS)
    if asked.quick:
        asked.samples, ways, times = 6, dict(list(MAPS.items())[:1]), times[:1]
    suite, drawn = get_suite("world"), distributions.custom(asked.samples, 0)
    samples = [Sample(render(one.portrait), ", ".join(one.phrases), one.target.phrase) for one in drawn if one.target]
    config = TrainConfig(stage2=StageConfig(steps=1, trainable="cross_attention"))
    stage, prepared = load_stage2(suite.pipeline, suite.clip, asked.stage1, samples, config)
    truth = regions(drawn, prepared.batch(torch.arange(1), torch.Generator(), 1000).x0.shape[-1])
    whole = torch.tensor([one.target is not None and one.target.category is Category.image_style for one in drawn])
    local = ~whole & (truth.sum(dim=(1, 2)) > 0)  # a bald head has no part of its own
    rows = []
    for name, settings in ways.items():
        print(f"\n{name}\n{'t':>6}{'inside':>9}{'outside':>9}{'AUC':>7}{'whole-picture targets':>24}")
        for t in times:
            found = maps(stage, prepared, t, settings)
            row = {"map": name, "t": t, **measure(found[local], truth[local]), "style": found[whole].mean().item()}
            rows.append(row)
            print(f"{t:6d}{row['inside']:9.2f}{row['outside']:9.2f}{row['auc']:7.2f}{row['style']:24.2f}")
    known = [{key: value for key, value in row.items() if value == value} for row in rows]  # JSON has no NaN
    keep(__doc__, asked, {"n": len(drawn), "rows": known})


if __name__ == "__main__":
    main()
