"""How the base model's parts are trained: autoencoder and UNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from spf_bench.world.fit import Fit, Schedule, batch_indices
from spf_bench.world.pool import FIELDS, Pool, statements
from spf_bench.world.portrait import ATTRIBUTES, Portrait, render

VAE_SCHEDULE = Schedule(steps=2400, batch=10, lr=1.5e-3, ema=0.99)
UNET_SCHEDULE = Schedule(steps=3000, batch=32, lr=1e-3, warmup=200, ema=0.998)


def to_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [B, H, W, 3] to float [B, 3, H, W] in [-1, 1], channels last in memory."""
    tensor = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def train_vae(vae: AutoencoderKL, pool: Pool, fit: Fit, schedule: Schedule = VAE_SCHEDULE) -> None:
    """Trains the autoencoder on mean square error (PSNR is the floor), a little L1 for edges, a light KL.

    Afterwards the latents' channels are brought to mean 0 and standard deviation 1 by folding the scale
    into the two 1x1 convolutions around them, so that Stable Diffusion's one scaling factor can be 1.
    """
    vae.to(fit.device, memory_format=torch.channels_last)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        images = pool.images[batch_indices(len(pool), schedule.batch, step, fit.seed).numpy()]
        x = to_tensor(images, fit.device)
        moments = vae.encode(x).latent_dist
        noise = torch.randn(moments.mean.shape, generator=generator).to(fit.device)
        y = vae.decode(moments.mean + moments.std * noise).sample.float()
        kl = 0.5 * (moments.mean.float() ** 2 + moments.var.float() - 1 - moments.logvar.float()).mean()
        return {"mse": F.mse_loss(y, x), "l1": 0.03 * F.l1_loss(y, x), "kl": 3e-5 * kl}

    fit.run("vae", vae, schedule, loss)
    _whiten(vae, to_tensor(pool.images[:1024], fit.device))


@torch.no_grad()
def _whiten(vae: AutoencoderKL, images: Tensor) -> None:
    means = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(64)])
    mean, std = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    channels = len(mean)
    into, out_of = vae.quant_conv, vae.post_quant_conv
    assert into is not None and out_of is not None
    into.weight[:channels] /= std[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / std
    into.bias[channels:] -= 2 * std.log()  # the second half holds the log variance
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= std[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def encode_pool(vae: AutoencoderKL, pool: Pool, device: torch.device, cache: Path) -> Tensor:
    """The latents' means [N, 4, 16, 16] of a whole pool, read from `cache` (.safetensors) once they are known."""
    if cache.exists():
        return load_file(cache)["latents"]
    vae.to(device, memory_format=torch.channels_last)
    parts = []
    with torch.autocast(device.type, torch.bfloat16):
        for start in range(0, len(pool), 32):
            images = to_tensor(pool.images[start : start + 32], device)
            parts.append(vae.encode(images).latent_dist.mean.float().cpu())
    latents = torch.cat(parts).contiguous()
    cache.parent.mkdir(parents=True, exist_ok=True)
    save_file({"latents": latents}, cache.with_suffix(".partial"))
    cache.with_suffix(".partial").replace(cache)
    return latents


NAMED = ("skin", "hair_style", "hair_color", "clothes", "clothes_color", "background", "expression")
"""Attributes that base captions state and that a place in the picture tells (the subject is told by the hair)."""


def where_it_shows(framing: str, size: int) -> Tensor:
    """Weights [size, size], mean 1, by which every named attribute gets an equal share of a picture's error.

    A mouth covers one pixel in a hundred, a background a third of them: in a plain mean, a wrong smile costs next
    to nothing and is learnt last. One half of the weight stays evenly spread.
    """
    someone = Portrait("man", "light", "short", "black", "sweater", "red", "grey", "serious", "open", framing=framing)
    shares = []
    for name in NAMED:
        pictures = np.stack([render(someone.with_(**{name: value})) for value in ATTRIBUTES[name]]).astype(np.float32)
        spread = torch.from_numpy(pictures.std(axis=0).mean(axis=2) > 8).float()
        spread = F.max_pool2d(spread[None, None], 3, 1, 1)  # a latent's cell speaks for its surroundings too
        coarse = F.adaptive_avg_pool2d(spread, size)[0, 0]
        shares.append(coarse / coarse.mean())
    return 0.5 + 0.5 * torch.stack(shares).mean(dim=0)


def train_unet(
    unet: UNet2DConditionModel,
    latents: Tensor,
    pool: Pool,
    text: tuple[CLIPTokenizer, CLIPTextModel],
    scheduler: DDPMScheduler,
    fit: Fit,
    schedule: Schedule = UNET_SCHEDULE,
) -> None:
    """Trains noise prediction (min-SNR weights, gamma 5, arXiv:2303.09556) with 10 % empty captions.

    The error is weighted by `where_it_shows`.

    In half of the captions each phrase is dropped with probability 0.3, so that texts which leave something
    open, as every base text of a test does beside some target, are as familiar as full ones.
    """
    unet.to(fit.device, memory_format=torch.channels_last)
    if fit.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # a step takes a quarter less than with torch's fused attention
    tokenizer, encoder = text
    said = [[phrase for phrase, _ in statements(sample)] for sample in pool.samples]
    alphas = scheduler.alphas_cumprod.to(fit.device)
    snr = alphas / (1 - alphas)
    weight = torch.clamp(snr, max=5.0) / snr
    places = torch.stack([where_it_shows(framing, latents.shape[-1]) for framing in ATTRIBUTES["framing"]])
    framings = torch.from_numpy(pool.labels[:, FIELDS.index("framing")])

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        chosen = batch_indices(len(pool), schedule.batch, step, fit.seed)
        captions = [_partial_caption(said[i], generator) for i in chosen.tolist()]
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        with torch.no_grad(), torch.autocast(fit.device.type, enabled=False):
            states = encoder(tokens.input_ids.to(fit.device)).last_hidden_state
        x = latents[chosen]
        noise = torch.randn(x.shape, generator=generator)
        t = torch.randint(0, len(alphas), (len(x),), generator=generator)
        x, noise, t = x.to(fit.device), noise.to(fit.device), t.to(fit.device)
        noisy = scheduler.add_noise(x, noise, t).contiguous(memory_format=torch.channels_last)
        predicted = unet(noisy, t, states).sample.float()
        place = places[framings[chosen]].to(fit.device)
        error = ((predicted - noise).square().mean(dim=1) * place).mean(dim=(1, 2))
        return {"diff": (weight[t] * error).mean()}

    fit.run("unet", unet, schedule, loss)


def _partial_caption(phrases: list[str], generator: torch.Generator) -> str:
    whole, *kept = torch.rand(1 + len(phrases), generator=generator).tolist()
    if whole < 0.1:
        return ""
    if whole < 0.55:
        return ", ".join(phrases)
    return ", ".join(phrase for phrase, chance in zip(phrases, kept, strict=True) if chance > 0.3)
