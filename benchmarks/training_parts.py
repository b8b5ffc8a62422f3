"""What the training benchmark runs: networks with random weights, batches of noise, and clocks around a step."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from spf_train.base_model import cast, load_pipeline
from spf_train.clip import FrozenClip, Preprocessing
from spf_train.config import SPFConfig
from spf_train.data import Batch
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.prediction import Diffusion
from spf_train.single_file import SD15, load_tokenizer

WORLD = Path(__file__).parents[1] / "spf_bench" / "world" / "weights"
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Networks:
    """The networks of a stage-2 step on one device: response and reference UNet, VAE, CLIP, noise process."""

    def __init__(self, unet: Any, vae: Any, clip: FrozenClip, diffusion: Diffusion, device: str) -> None:
        reference = copy.deepcopy(unet)
        self.unet, self.reference, self.vae = (
            network.to(device).to(memory_format=torch.channels_last) for network in (unet, reference, vae)
        )
        self.clip, self.diffusion, self.device = clip.to(device), diffusion, device

    @classmethod
    def sd15(cls, device: str) -> Networks:
        """Stable Diffusion 1.5 and CLIP ViT-L/14 with random weights: the sizes of the paper."""
        from diffusers import DDIMScheduler

        torch.manual_seed(0)
        text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
        vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
        vision |= {"patch_size": 14, "image_size": 224}
        clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=768))
        frozen = FrozenClip(clip, load_tokenizer(), Preprocessing(224, 224, CLIP_MEAN, CLIP_STD))
        unet: Any = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SD15 / "unet"))
        vae: Any = AutoencoderKL.from_config(AutoencoderKL.load_config(SD15 / "vae"))
        scheduler = DDIMScheduler.from_pretrained(SD15 / "scheduler")
        return cls(unet, vae, frozen, Diffusion.from_scheduler(scheduler), device)

    @classmethod
    def world(cls, device: str) -> Networks:
        """The portrait world's shipped networks: 64 px, for machines without a GPU."""
        pipe = load_pipeline(WORLD / "pipeline", device)
        clip = FrozenClip.from_pretrained(WORLD / "clip")
        return cls(pipe.unet, pipe.vae, clip, Diffusion.from_scheduler(pipe.scheduler), device)

    def frozen_to(self, dtype: torch.dtype) -> None:
        """Casts what does not train, as a run in half precision keeps it."""
        for network in (self.reference, self.vae, self.clip):
            cast(network, dtype)

    def stage(self, kind: type[DualPathStage], config: SPFConfig) -> DualPathStage:
        """A stage 2 over these networks, training the cross-attention weights."""
        enhancement = ResponseEnhancement(self.vae, self.clip, config)
        return kind(self.unet, self.reference, enhancement, self.diffusion, config, "cross_attention")

    def batch(self, size: int, pixels: int | None = None, seed: int = 0) -> Batch:
        """Noise in place of latents and embeddings; four phrases of four tokens in each base text.

        pixels: side of the images; None is what the UNet was made for.
        """
        config, clip = self.unet.config, self.clip.model.config
        context, width = clip.text_config.max_position_embeddings, config.cross_attention_dim
        generator = torch.Generator().manual_seed(seed)

        def noise(*shape: int) -> Tensor:
            return torch.randn(size, *shape, generator=generator)

        def unit(count: int) -> Tensor:
            return torch.nn.functional.normalize(noise(count), dim=-1)

        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        side = config.sample_size if pixels is None else pixels // factor
        latent, position = (config.in_channels, side, side), torch.arange(context)
        spans = torch.tensor([[first, first + 4] for first in (1, 5, 9, 13)])
        values = {
            "index": torch.arange(size),
            "x0": noise(*latent),
            "eps": noise(*latent),
            "t": torch.randint(self.diffusion.timesteps, (size,), generator=generator),
            "dropped": torch.zeros(size, dtype=torch.bool),
            "complete": noise(context, width),
            "base": noise(context, width),
            "target": torch.empty(size, 0, 0),
            "base_positions": ((position >= 1) & (position < 17)).expand(size, -1),
            "shared_padding": (position >= 21).expand(size, -1),
            "spans": spans.expand(size, -1, -1),
            "cosine": torch.rand(size, 4, generator=generator),
            "image_embeds": unit(clip.projection_dim),
            "target_embeds": unit(clip.projection_dim),
        }
        return Batch(**values).map(lambda tensor: tensor.to(self.device))


class Clock:
    """Seconds by name; a name inside another takes its time away from the outer one."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self._open: list[float] = []

    def now(self) -> float:
        """Seconds, once the device has done what was asked of it; on a CPU those of this process, all threads."""
        if not self.device.startswith("cuda"):
            return time.process_time()  # whatever else the machine is doing
        torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the time inside to `name`."""
        started = self.now()
        self._open.append(0.0)
        yield
        spent, inner = self.now() - started, self._open.pop()
        self.seconds[name] = self.seconds.get(name, 0.0) + spent - inner
        if self._open:
            self._open[-1] += spent

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Measures every call of a method of one object."""
        plain: Callable[..., Any] = getattr(owner, method)

        def measured(*given: Any, **named: Any) -> Any:
            with self.measure(name):
                return plain(*given, **named)

        setattr(owner, method, measured)


@contextmanager
def saved_bytes() -> Iterator[dict[int, int]]:
    """Bytes of every storage that autograd keeps for the backward pass, by address."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept
