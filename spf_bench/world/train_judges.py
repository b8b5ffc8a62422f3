"""How the world's judges are trained: the two CLIPs, the attribute judge and the preference scorers."""

from __future__ import annotations

import random
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer

from spf_bench.metrics.mps_model import MPSModel
from spf_bench.world.distributions import Sample
from spf_bench.world.fit import Fit, Schedule, batch_indices
from spf_bench.world.judge import IDENTITY_FIELDS, Judge
from spf_bench.world.networks import CLIP_MEAN, CLIP_STD
from spf_bench.world.pool import FIELDS, Pool, statements
from spf_bench.world.portrait import ATTRIBUTES, Portrait
from spf_bench.world.train_generator import to_tensor

SHARPEN_SCHEDULE = Schedule(steps=700, batch=128, lr=1e-3, weight_decay=0.05, ema=0.99)
CLIP_SCHEDULE = Schedule(steps=1300, batch=96, lr=1.5e-3, weight_decay=0.05, ema=0.99)
JUDGE_SCHEDULE = Schedule(steps=1000, batch=40, lr=2e-3, weight_decay=0.02, ema=0.99)
PREFERENCE_SCHEDULE = Schedule(steps=350, batch=48, lr=5e-4, weight_decay=0.02, ema=0.98)
UNSTATED = -1
READ_SCALE = 10.0
"""Embeddings have norm 1, too little for a linear layer to be sure of itself."""


def clip_pixels(images: Tensor) -> Tensor:
    """[-1, 1] pixels to CLIP's normalised ones; same shape."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return ((images + 1) / 2 - mean) / std


class Readers(nn.Module):
    """Linear layers that name attributes while a CLIP trains, and are thrown away afterwards.

    The contrastive loss sees one vector of a text only; nothing keeps "smiling" and "sad" apart in the hidden
    states that a UNet's cross-attention reads. So `words` names what a phrase states from the state of its last
    token, and `whole` what an embedding, of an image or a text, shows.
    """

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        self.words = nn.Linear(clip.config.text_config.hidden_size, sum(COUNTS))
        self.whole = nn.Linear(clip.config.projection_dim, sum(COUNTS))


COUNTS = [len(ATTRIBUTES[name]) for name in FIELDS]


def read_loss(logits: Tensor, values: Tensor) -> Tensor:
    """Cross-entropy of attribute values [N, attributes] under logits [N, sum of COUNTS]; `UNSTATED` is left out."""
    each = [
        F.cross_entropy(part.float(), value, ignore_index=UNSTATED, reduction="sum")
        for part, value in zip(logits.split(COUNTS, dim=1), values.unbind(1), strict=True)
    ]
    return torch.stack(each).sum() / (values != UNSTATED).sum().clamp(min=1)


def clip_features(model: CLIPModel, pixels: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Unit-norm embeddings (images [B, D], texts [B, D])."""
    out = model(pixel_values=pixels, input_ids=ids, attention_mask=mask)
    return out.image_embeds.float(), out.text_embeds.float()


class Drawn(NamedTuple):
    """Texts and what they state."""

    ids: Tensor
    """[B, L]"""
    mask: Tensor
    """[B, L]"""
    stated: Tensor
    """[B, attributes]: the values a text states, -1 where unstated."""
    places: Tensor
    """[P, 2]: row and position of each phrase's last token."""
    words: Tensor
    """[P, attributes]: the values a phrase states, -1 where unstated."""


class Captions:
    """Texts for contrastive training: whole captions, parts of them, single phrases; and what each states."""

    def __init__(self, pool: Pool, tokenizer: CLIPTokenizer, whole: bool = False) -> None:
        self.whole = whole
        self.told = [statements(sample) for sample in pool.samples]
        self.tokenizer = tokenizer
        said = {phrase for told in self.told for phrase, _ in told}
        self.length = {phrase: len(tokenizer(phrase, add_special_tokens=False).input_ids) for phrase in said}

    def draw(self, chosen: list[int], generator: torch.Generator) -> Drawn:
        """One text for each of the samples `chosen`."""
        texts, stated = [], torch.full((len(chosen), len(FIELDS)), UNSTATED)
        places: list[tuple[int, int]] = []
        words: list[Tensor] = []
        for row, index in enumerate(chosen):
            phrases = self.told[index] if self.whole else self._some(self.told[index], generator)
            texts.append(", ".join(phrase for phrase, _ in phrases))
            end = 0
            for phrase, values in phrases:
                end += self.length[phrase]
                here = torch.full((len(FIELDS),), UNSTATED)
                for name, value in values.items():
                    here[FIELDS.index(name)] = stated[row, FIELDS.index(name)] = ATTRIBUTES[name].index(value)
                places.append((row, end))  # the start token stands before the text
                words.append(here)
                end += 1  # the comma
        tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return Drawn(tokens.input_ids, tokens.attention_mask, stated, torch.tensor(places), torch.stack(words))

    @staticmethod
    def _some(told: list, generator: torch.Generator) -> list:
        how, which, *chances = torch.rand(2 + len(told), generator=generator).tolist()
        if how < 0.15:
            return [told[int(which * len(told))]]
        if how < 0.25:
            return [told[-1]]  # the target alone, where there is one
        if how < 0.55:
            return [p for p, chance in zip(told, chances, strict=True) if chance > 0.35] or told
        return told


def train_clip(
    name: str,
    model: CLIPModel,
    tokenizer: CLIPTokenizer,
    pool: Pool,
    fit: Fit,
    schedule: Schedule = CLIP_SCHEDULE,
    sharpen: bool = False,
) -> None:
    """Contrastive training in which every image that a text truly describes counts as its match.

    With `sharpen` the text tower stays as it is, for a UNet may depend on it, and captions are whole.

    Texts like "smiling" fit many images of a batch; since the world knows what each text states and each
    image shows, the targets of the cross-entropy are spread over all true matches. `Readers` help.
    """
    readers = Readers(model).to(fit.device)
    model.text_model.requires_grad_(not sharpen)
    readers.words.requires_grad_(not sharpen)
    captions, labels = Captions(pool, tokenizer, whole=sharpen), torch.from_numpy(pool.labels)
    visible = labels.masked_fill(~torch.from_numpy(pool.readable), UNSTATED)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        chosen = batch_indices(len(pool), schedule.batch, step, fit.seed)
        said = captions.draw(chosen.tolist(), generator)
        x = _jitter(to_tensor(pool.images[chosen.numpy()], fit.device), generator)
        ids, mask = said.ids.to(fit.device), said.mask.to(fit.device)
        out = model(pixel_values=clip_pixels(x), input_ids=ids, attention_mask=mask)
        image, text = out.image_embeds.float(), out.text_embeds.float()
        logits = text @ image.T * model.logit_scale.exp().clamp(max=100)
        shown = labels[chosen]
        stated = said.stated
        fits = ((stated[:, None] == UNSTATED) | (stated[:, None] == shown[None])).all(dim=2).float()
        fits = fits.to(fit.device)
        by_text = F.cross_entropy(logits, fits / fits.sum(dim=1, keepdim=True))
        by_image = F.cross_entropy(logits.T, fits.T / fits.T.sum(dim=1, keepdim=True))
        terms = {"text": 0.5 * by_text, "image": 0.5 * by_image}
        seen = visible[chosen].to(fit.device)
        terms["read_image"] = 0.5 * read_loss(readers.whole(READ_SCALE * image), seen)
        terms["read_text"] = 0.5 * read_loss(readers.whole(READ_SCALE * text), stated.to(fit.device))
        if not sharpen:
            row, place = said.places.to(fit.device).unbind(1)
            at_words = out.text_model_output.last_hidden_state[row, place]
            terms["read_words"] = read_loss(readers.words(at_words), said.words.to(fit.device))
        return terms

    fit.run(name, readers, schedule, loss)


def companion(sample: Sample, other: Sample) -> Sample:
    """The person of `sample` in the surroundings of `other`: identity kept, all else exchanged."""
    kept = {name: getattr(sample.portrait, name) for name in IDENTITY_FIELDS}
    rest = {f.name: getattr(other.portrait, f.name) for f in fields(Portrait) if f.name not in IDENTITY_FIELDS}
    if kept["subject"] == "woman":
        rest["facial_hair"] = "none"
    return Sample(Portrait(**kept, **rest), None, ())


def train_judge(
    judge: Judge, pool: Pool, companions: Pool, painted: Pool, fit: Fit, schedule: Schedule = JUDGE_SCHEDULE
) -> None:
    """Trains attribute heads (cross-entropy where readable), identity (contrastive), and parts (per pixel)."""
    judge.to(fit.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert painted.parts is not None
    parts = torch.from_numpy(painted.parts).long()

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        pair = batch_indices(len(pool), schedule.batch, step, fit.seed)
        part = batch_indices(len(painted), schedule.batch // 2, step, fit.seed)
        sources = [(pool, pair), (companions, pair), (painted, part)]
        x = to_tensor(np.concatenate([p.images[i.numpy()] for p, i in sources]), fit.device)
        plain = slice(2 * len(pair), None)  # the rows that carry part labels
        shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
        x = torch.roll(_jitter(x, generator), shift, dims=(2, 3))
        out = judge(x)
        labels = torch.from_numpy(np.concatenate([p.labels[i.numpy()] for p, i in sources]))
        readable = torch.from_numpy(np.concatenate([p.readable[i.numpy()] for p, i in sources]))
        labels = labels.masked_fill(~readable, -100).to(fit.device)
        read = [F.cross_entropy(out.attributes[n].float(), labels[:, k]) for k, n in enumerate(FIELDS)]
        painting = torch.roll(parts[part], shift, dims=(1, 2)).to(fit.device)
        return {
            "attributes": torch.stack(read).sum(),
            "identity": 0.5 * _same_person(out.identity[: 2 * len(pair)], labels[: 2 * len(pair)]),
            "parts": F.cross_entropy(out.parts[plain].float(), painting),
        }

    fit.run("judge", judge, schedule, loss)


def _same_person(identity: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrast (arXiv:2004.11362): all portraits of one person attract each other."""
    who = labels[:, [FIELDS.index(name) for name in IDENTITY_FIELDS]]
    n = len(identity) // 2
    same = (who[:, None] == who[None]).all(dim=2)
    index = torch.arange(len(identity), device=identity.device)
    same |= (index[:, None] % n) == (index[None] % n)  # a portrait and its companion, even where hair is hidden
    itself = torch.eye(len(identity), dtype=torch.bool, device=identity.device)
    logits = (identity @ identity.T / temperature).masked_fill(itself, float("-inf"))
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = same & ~itself
    return -(log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()


def _jitter(x: Tensor, generator: torch.Generator) -> Tensor:
    """Slight noise and softness, as generated portraits have; a judge must not mind them."""
    strength, soften = torch.rand(2, generator=generator).tolist()
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    x = x + 0.08 * strength * noise
    return torch.lerp(x, F.avg_pool2d(x, 3, 1, 1), 0.7) if soften < 0.3 else x


def spoil(x: Tensor, rng: random.Random) -> Tensor:
    """Damages one picture [3, H, W] the way bad generators do: blur, noise, washed colours, torn or copied parts."""
    size, kind = x.shape[-1], rng.choice(("blur", "noise", "wash", "shift", "patch", "pixels"))
    much = rng.uniform(0.4, 1.0)
    if kind == "blur":
        return torch.lerp(x, F.avg_pool2d(F.avg_pool2d(x[None], 5, 1, 2), 3, 1, 1)[0], much)
    if kind == "noise":
        return (x + 0.4 * much * torch.randn(x.shape, generator=_seeded(rng))).clamp(-1, 1)
    if kind == "wash":
        tint = torch.tensor([rng.uniform(-1, 1) for _ in range(3)]).view(3, 1, 1)
        return torch.lerp(x, tint.expand_as(x), 0.5 * much)
    if kind == "pixels":
        return torch.lerp(x, F.interpolate(F.avg_pool2d(x[None], 4), scale_factor=4.0)[0], much)
    top, left = rng.randrange(size // 2), rng.randrange(size // 2)
    piece = x[:, top : top + size // 3, left : left + size // 3].clone()
    x = x.clone()
    if kind == "patch":
        there = rng.randrange(size - size // 3), rng.randrange(size - size // 3)
        x[:, there[0] : there[0] + size // 3, there[1] : there[1] + size // 3] = piece
        return x
    x[:, top : top + size // 3] = torch.roll(x[:, top : top + size // 3], rng.choice((-6, -4, 4, 6)), dims=2)
    return x


def _seeded(rng: random.Random) -> torch.Generator:
    return torch.Generator().manual_seed(rng.getrandbits(62))


class PreferencePairs:
    """Pairs (better, worse) under one caption: whole against damaged, and described against not described."""

    def __init__(self, pool: Pool, tokenizer: CLIPTokenizer, fit: Fit, batch: int) -> None:
        self.pool, self.fit, self.batch = pool, fit, batch
        self.captions = Captions(pool, tokenizer)
        self.labels = torch.from_numpy(pool.labels)

    def draw(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Better and worse images [B, 3, 64, 64], token ids and mask [B, L]."""
        chosen = batch_indices(len(self.pool), self.batch, step, self.fit.seed)
        ids, mask, stated, *_ = self.captions.draw(chosen.tolist(), generator)
        better = to_tensor(self.pool.images[chosen.numpy()], torch.device("cpu"))
        rng = random.Random(self.fit.seed * 1_000_003 + step)
        worse = torch.stack([self._worse(better, row, stated[row], rng) for row in range(self.batch)])
        device = self.fit.device
        return better.to(device), worse.to(device), ids.to(device), mask.to(device)

    def _worse(self, better: Tensor, row: int, stated: Tensor, rng: random.Random) -> Tensor:
        if rng.random() < 0.5:
            return spoil(better[row], rng)
        for _ in range(20):
            other = rng.randrange(len(self.pool))
            shown = self.labels[other]
            if not ((stated == UNSTATED) | (stated == shown)).all():
                return to_tensor(self.pool.images[other : other + 1], torch.device("cpu"))[0]
        return spoil(better[row], rng)


def train_hps(
    model: CLIPModel, tokenizer: CLIPTokenizer, pool: Pool, fit: Fit, schedule: Schedule = PREFERENCE_SCHEDULE
) -> None:
    """Fine-tunes a CLIP on pairs with a softmax over the two scaled cosines, as HPSv2 (arXiv:2306.09341)."""
    pairs = PreferencePairs(pool, tokenizer, fit, schedule.batch)
    model.to(fit.device)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        better, worse, ids, mask = pairs.draw(step, generator)
        image, text = clip_features(model, clip_pixels(torch.cat([better, worse])), ids, mask)
        scale = model.logit_scale.exp().clamp(max=100)
        margin = (image * torch.cat([text, text])).sum(dim=1).view(2, -1) * scale
        return {"preference": F.softplus(margin[1] - margin[0]).mean()}

    fit.run("hps", model, schedule, loss)


def train_mps(
    model: MPSModel,
    tokenizer: CLIPTokenizer,
    condition: str,
    pool: Pool,
    fit: Fit,
    schedule: Schedule = PREFERENCE_SCHEDULE,
) -> None:
    """Trains the multi-dimensional scorer on pairs with a softmax over the two raw scores (MPS, CVPR 2024)."""
    pairs = PreferencePairs(pool, tokenizer, fit, schedule.batch)
    model.to(fit.device)
    said = tokenizer([condition], padding="max_length", truncation=True, return_tensors="pt").input_ids

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        better, worse, ids, _ = pairs.draw(step, generator)
        asked = said.to(fit.device).expand(2 * len(ids), -1)
        raw = model(clip_pixels(torch.cat([better, worse])), torch.cat([ids, ids]), asked).float().view(2, -1)
        return {"preference": F.softplus(raw[1] - raw[0]).mean()}

    fit.run("mps", model, schedule, loss)
