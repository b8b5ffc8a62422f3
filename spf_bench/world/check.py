"""Measures how good the world's models are, on portraits none of them was trained on: `spf-bench world check`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from spf_bench.metrics.mps_model import MPSModel
from spf_bench.models.backbone import Backbone
from spf_bench.suite import get_suite
from spf_bench.triple import Triple
from spf_bench.world import distributions
from spf_bench.world.assets import WEIGHTS
from spf_bench.world.distributions import Sample
from spf_bench.world.fit import Fit
from spf_bench.world.judge import Judge
from spf_bench.world.pool import FIELDS, Pool, Progress, statements
from spf_bench.world.portrait import ATTRIBUTES, PARTS
from spf_bench.world.targets import TARGETS, unreadable
from spf_bench.world.train_generator import to_tensor
from spf_bench.world.train_judges import PreferencePairs, clip_features, clip_pixels, companion

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Measure:
    """One figure of the card."""

    name: str
    """What was measured."""
    value: float
    """The figure."""
    floor: float | None
    """What it should reach, where a floor is set."""
    n: int
    """On how many portraits or pairs."""
    note: str = ""
    """How to read it."""

    @property
    def holds(self) -> bool:
        """Whether the floor is reached; True where none is set."""
        return self.floor is None or self.value >= self.floor


def check(weights: Path = WEIGHTS, limit: int = 512, progress: Progress = lambda *_: None) -> list[Measure]:
    """Measures every floor of the world and the quality of each model.

    Args:
        weights: Folder of exported weights.
        limit: Portraits to generate for the read-back figures.
        progress: Called with (what, done, total).
    """
    judge = Judge.from_pretrained(weights / "judge")
    measures = [_vae(weights)]
    measures += [_clip(weights / name, name) for name in ("clip", "judge_clip")]
    measures += _judge(judge)
    measures += _preferences(weights)
    return measures + _generated(weights, judge, limit, progress)


@torch.inference_mode()
def _vae(weights: Path) -> Measure:
    vae = AutoencoderKL.from_pretrained(weights / "pipeline" / "vae", torch_dtype=torch.float32)
    pool = Pool.draw(distributions.judge(512, 7, part="test"))
    errors = []
    for part in np.array_split(pool.images, 8):
        x = to_tensor(part, CPU)
        y = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        errors.append(((x - y) / 2).square().mean(dim=(1, 2, 3)))
    psnr = -10 * torch.log10(torch.cat(errors))
    return Measure("VAE, PSNR (dB)", psnr.mean().item(), 30.0, len(psnr), "mean over renders of all kinds")


@torch.inference_mode()
def _clip(folder: Path, name: str) -> Measure:
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    samples = distributions.held_out(256, 8)
    tokens = tokenizer([s.caption for s in samples], padding=True, return_tensors="pt")
    x = clip_pixels(to_tensor(Pool.draw(samples).images, CPU))
    image, text = clip_features(model, x, tokens.input_ids, tokens.attention_mask)
    top = (image @ text.T).argmax(dim=1) == torch.arange(len(samples))
    return Measure(f"{name}, image to text top-1 of 256", top.float().mean().item(), 0.95, len(samples))


@torch.inference_mode()
def _judge(judge: Judge) -> list[Measure]:
    samples = distributions.judge(2048, 9, part="test")
    pool = Pool.draw(samples)
    read = _read(judge, pool.images)
    measures = []
    for column, name in enumerate(FIELDS):
        seen = pool.readable[:, column]
        share = float((read[seen, column] == pool.labels[seen, column]).mean())
        measures.append(Measure(f"judge, {name} (share right)", share, 0.98, int(seen.sum())))
    painted = Pool.draw(samples[:200], parts=True)
    assert painted.parts is not None
    labels = judge(to_tensor(painted.images, CPU)).parts.argmax(dim=1).numpy()
    ious = [
        ((labels == k) & (painted.parts == k)).sum() / max(1, ((labels == k) | (painted.parts == k)).sum())
        for k in range(len(PARTS))
    ]
    measures.append(Measure("judge, parts (mean IoU)", float(np.mean(ious)), None, len(painted)))
    return [*measures, _same_person(judge, samples[:512])]


@torch.inference_mode()
def _same_person(judge: Judge, samples: Sequence[Sample]) -> Measure:
    others = [companion(sample, samples[i - 1]) for i, sample in enumerate(samples)]
    a, b = (judge(to_tensor(Pool.draw(s).images, CPU)).identity for s in (samples, others))
    same, different = (a * b).sum(dim=1), (a * b.roll(1, dims=0)).sum(dim=1)
    # The share of (same, different) pairs that the cosine puts in the right order: the area under the ROC curve.
    auc = (same[:, None] > different[None]).float().mean().item()
    note = f"mean cosine {same.mean():.2f} for one person in two surroundings, {different.mean():.2f} for two"
    return Measure("judge, identity (AUC)", auc, None, len(samples), note)


@torch.inference_mode()
def _preferences(weights: Path) -> list[Measure]:
    pool = Pool.draw(distributions.judge(512, 10, part="test"))
    tokenizer = CLIPTokenizer.from_pretrained(weights / "hps")
    pairs = PreferencePairs(pool, tokenizer, Fit(Path(), CPU, 11, lambda *_: None), 512)
    better, worse, ids, mask = pairs.draw(0, torch.Generator().manual_seed(11))
    hps = CLIPModel.from_pretrained(weights / "hps", dtype=torch.float32)
    mps = MPSModel.from_pretrained(weights / "mps").float()
    asked = tokenizer([mps.config.condition], padding="max_length", truncation=True, return_tensors="pt").input_ids
    padded = torch.nn.functional.pad(ids, (0, tokenizer.model_max_length - ids.shape[1]), value=tokenizer.pad_token_id)

    def by_hps(x: Tensor) -> Tensor:
        image, text = clip_features(hps, clip_pixels(x), ids, mask)
        return (image * text).sum(dim=1)

    def by_mps(x: Tensor) -> Tensor:
        return mps(clip_pixels(x), padded, asked)

    note = "whole against damaged, and described against not described, under one caption"
    return [
        Measure(f"{name}, pairs ranked right", (f(better) > f(worse)).float().mean().item(), None, 512, note)
        for name, f in (("hps", by_hps), ("mps", by_mps))
    ]


def _generated(weights: Path, judge: Judge, limit: int, progress: Progress) -> list[Measure]:
    """Reads back what the base model drew: named attributes of base texts, and targets it was asked for."""
    suite = get_suite("world")
    backbone = Backbone.from_folder(weights / "pipeline", suite.sampling)

    def draw(what: str, samples: Sequence[Sample], prompt: Callable[[Sample], str]) -> np.ndarray:
        images = []
        for start in range(0, len(samples), 32):
            part = samples[start : start + 32]
            noise = torch.stack([backbone.noise_for(_triple(i)) for i in range(start, start + len(part))])
            images.append(backbone.render(backbone.encode([prompt(s) for s in part]), noise).numpy())
            progress(what, start + len(part), len(samples))
        return _read(judge, np.concatenate(images))

    plain = distributions.plain(limit, 12)
    named = draw("base texts", plain, lambda s: ", ".join(s.phrases))
    shares = _shares(named, plain, lambda s: [(n, v) for _, values in statements(s) for n, v in values.items()])
    worst = min(shares, key=lambda name: float(np.mean(shares[name])))
    every = float(np.mean(np.concatenate(list(shares.values()))))
    note = ", ".join(f"{name} {np.mean(right):.3f}" for name, right in shares.items()) + f"; worst: {worst}"
    measures = [Measure("UNet, named attributes read back", every, 0.90, limit, note)]
    asked = [s for t in TARGETS.values() for s in _with(t.key, max(4, limit // 32))]
    for what, prompt in (("target alone", _target_text), ("complete text", lambda s: s.caption)):
        read = draw(what, asked, prompt)
        hits = [
            all(read[i, FIELDS.index(n)] == ATTRIBUTES[n].index(v) for n, v in _target(s).sets.items())
            for i, s in enumerate(asked)
        ]
        measures.append(Measure(f"UNet, target read back, {what}", float(np.mean(hits)), None, len(asked)))
    return measures


def _shares(read: np.ndarray, samples: Sequence[Sample], named: Callable) -> dict[str, np.ndarray]:
    right: dict[str, list[bool]] = {}
    for row, sample in enumerate(samples):
        for name, value in named(sample):
            if name not in unreadable(sample.portrait):
                right.setdefault(name, []).append(read[row, FIELDS.index(name)] == ATTRIBUTES[name].index(value))
    return {name: np.array(values) for name, values in right.items()}


def _with(key: str, n: int) -> list[Sample]:
    category = TARGETS[key].category
    return [s for s in distributions.held_out(24 * n, 13, category) if _target(s).key == key][:n]


def _target(sample: Sample):
    assert sample.target is not None
    return sample.target


def _target_text(sample: Sample) -> str:
    return _target(sample).phrase


def _triple(index: int) -> Triple:
    return Triple(str(index), "", "", next(iter(TARGETS.values())).category, 5_000_000 + index, ())


@torch.inference_mode()
def _read(judge: Judge, images: np.ndarray) -> np.ndarray:
    """The judge's readings [N, attributes] of images [N, 64, 64, 3]."""
    rows = []
    for part in np.array_split(images, max(1, len(images) // 128)):
        out = judge(to_tensor(part, CPU)).attributes
        rows.append(torch.stack([out[name].argmax(dim=1) for name in FIELDS], dim=1).numpy())
    return np.concatenate(rows)


def write_card(measures: Sequence[Measure], weights: Path = WEIGHTS) -> Path:
    """Writes card.json and puts the table of figures into the weights' README.md."""
    (weights / "card.json").write_text(json.dumps([asdict(m) for m in measures], indent=1) + "\n")
    return write_readme(weights)


def write_readme(weights: Path = WEIGHTS) -> Path:
    """Writes the weights' README.md from what was last measured: card.json, and calibration.json where it is."""
    from spf_bench.world.calibration.card import table_of

    measures = [Measure(**facts) for facts in json.loads((weights / "card.json").read_text())]
    rows = [
        f"| {m.name} | {m.value:.3f} | {'' if m.floor is None else f'{m.floor:g}'} | "
        f"{'' if m.floor is None else 'yes' if m.holds else '**no**'} | {m.n} | {m.note} |"
        for m in measures
    ]
    table = "\n".join(["| figure | measured | floor | holds | n | note |", "|---|---|---|---|---|---|", *rows])
    size = sum(f.stat().st_size for f in weights.rglob("*") if f.is_file() and f.suffix != ".md") / 1e6
    told = {"size": f"{size:.1f}", "figures": table, "calibration": table_of(weights)}
    readme = Path(__file__).with_name("card.md").read_text()
    for name, text in told.items():
        readme = readme.replace(f"{{{{{name}}}}}", text)
    path = weights / "README.md"
    path.write_text(readme)
    return path
