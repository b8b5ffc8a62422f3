"""The paper suite's metrics: published networks, loaded once each, in the order of the tables."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from spf_bench import weights
from spf_bench.files.store import digest as digest_of
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.paper import Settings

AnyMetric = Metric | SetMetric
Makers = dict[str, Callable[[], AnyMetric]]
"""How metrics are made, by their keys in the order of the tables."""


def paper_metrics(device: str, settings: Settings | None = None) -> list[AnyMetric]:
    """Return the metrics of the paper suite on ``device`` that ``settings`` ask for; no other network is loaded.

    Raises:
        UserError: Weights or packages are missing; all of them are named.
    """
    settings = settings or Settings.from_environment()
    settings.require()
    networks = Networks(device, settings)
    known = _sets(networks) | _pixels(networks) | _regions(networks) | _texts(networks)
    return [make() for key, make in known.items() if settings.asked(key)]


@dataclass
class Networks:
    """The published networks of one scoring, none of them loaded twice."""

    device: str
    settings: Settings

    @property
    def dtype(self) -> torch.dtype:
        """What they compute in."""
        dtype: torch.dtype = getattr(torch, self.settings.precision)
        return dtype

    def facts(self, name: str) -> tuple[Path, str]:
        """Return where a checkpoint lies, and the SHA-256 of its weights, another one in another precision."""
        sha256 = weights.digest(name)
        mixed = sha256 if self.dtype == torch.float32 else digest_of([sha256, self.settings.precision], length=64)
        return weights.path(name), mixed

    @cached_property
    def inception(self) -> Any:
        """FID's Inception, over TensorFlow's resize."""
        from spf_bench.metrics.inception import InceptionEncoder

        return InceptionEncoder.from_weights(weights.path("inception"), self.device, dtype=self.dtype)

    @cached_property
    def sam(self) -> Any:
        """Segment Anything, prompted by a grid of points."""
        from spf_bench.metrics.sam import SamEncoder

        return SamEncoder.from_weights(weights.path("sam_vit_h"), self.device, dtype=self.dtype)

    @cached_property
    def clip(self) -> Any:
        """OpenAI's CLIP at 224 pixels."""
        return self.open_ai("clip")

    @cached_property
    def pixels(self) -> Any:
        """The pixels themselves."""
        from spf_bench.metrics.pixel import PixelEncoder

        return PixelEncoder(self.device)

    def open_ai(self, name: str) -> Any:
        """One of OpenAI's CLIPs."""
        from spf_bench.metrics.clip_encoder import ClipEncoder

        path, digest = self.facts(name)
        return ClipEncoder.from_pretrained(name, path, self.device, digest, self.dtype)

    def open_clip(self, name: str, architecture: str, key: str | None = None) -> Any:
        """One of OpenCLIP's."""
        from spf_bench.metrics.open_clip_encoder import OpenClipEncoder

        path, digest = self.facts(name)
        return OpenClipEncoder.from_weights(name, architecture, path, self.device, digest, key, self.dtype)

    def trunk(self, name: str, net: Literal["alex", "vgg"]) -> Any:
        """One of LPIPS' networks."""
        from spf_bench.metrics.lpips_trunk import LpipsTrunk

        return LpipsTrunk.from_weights(weights.path(name), self.device, net=net, dtype=self.dtype)


def _sets(networks: Networks) -> Makers:
    """Distances between the two sets of images."""
    from spf_bench.metrics.cmmd import CMMD
    from spf_bench.metrics.dino import DinoV2Encoder
    from spf_bench.metrics.fid import FID, CleanFID, FDDinoV2
    from spf_bench.metrics.kid import KID

    def fd_dinov2() -> AnyMetric:
        path = weights.path("dinov2")
        return FDDinoV2(DinoV2Encoder.from_weights(path, networks.device, dtype=networks.dtype))

    return {
        "fid": lambda: FID(networks.inception),
        "fid_clean": lambda: CleanFID(networks.inception.resized("clean")),
        "kid": lambda: KID(networks.inception),
        "cmmd": lambda: CMMD(networks.open_ai("clip_336"), output="image"),
        "fd_dinov2": fd_dinov2,
    }


def _pixels(networks: Networks) -> Makers:
    """How far the two images of a pair lie apart, place by place."""
    from spf_bench.metrics.dino import DinoEncoder, StructureDistance
    from spf_bench.metrics.lpips import LPIPS, LPIPSVGG
    from spf_bench.metrics.pixel import PSNR, SSIM

    def lpips(kind: type[LPIPS], name: str, net: Literal["alex", "vgg"]) -> AnyMetric:
        trunk = networks.trunk(name, net)
        return kind(trunk, trunk.heads)

    def structure() -> AnyMetric:
        path = weights.path("dino")
        return StructureDistance(DinoEncoder.from_weights(path, networks.device, dtype=networks.dtype))

    return {
        "lpips": lambda: lpips(LPIPS, "alexnet", "alex"),
        "lpips_vgg": lambda: lpips(LPIPSVGG, "vgg16", "vgg"),
        "psnr": lambda: PSNR(networks.pixels),
        "ssim": lambda: SSIM(networks.pixels),
        "structure": structure,
    }


def _regions(networks: Networks) -> Makers:
    """Whether the person and the picture's regions are the same."""
    from spf_bench.metrics.identity import FaceIdentity
    from spf_bench.metrics.insight import FaceEncoder
    from spf_bench.metrics.sam import SamSegmenter
    from spf_bench.metrics.sam_automatic import SamAutomaticEncoder, SamRegions
    from spf_bench.metrics.segcons import SegCons
    from spf_bench.metrics.segcons_hungarian import SegConsHungarian

    return {
        "id": lambda: FaceIdentity(FaceEncoder.from_weights(weights.path("buffalo_l"), networks.device)),
        "seg_cons": lambda: SegCons(SamSegmenter(networks.sam)),
        "seg_cons_hungarian": lambda: SegConsHungarian(SamRegions(SamAutomaticEncoder.beside(networks.sam))),
    }


def _texts(networks: Networks) -> Makers:
    """What language models make of the images, and of images and texts together."""
    from spf_bench.metrics.clip_i import ClipI
    from spf_bench.metrics.clip_open import ClipOpen
    from spf_bench.metrics.clip_t import ClipT
    from spf_bench.metrics.hps import HPS, HPSv20

    return {
        "clip_i": lambda: ClipI(networks.clip),
        "clip_t": lambda: ClipT(networks.clip),
        "clip_open": lambda: ClipOpen(networks.open_clip("clip_datacomp", "ViT-L-14")),
        "hps": lambda: HPS(networks.open_clip("hps", "ViT-H-14", "state_dict")),
        "hps_v20": lambda: HPSv20(networks.open_clip("hps_v20", "ViT-H-14", "state_dict")),
        "mps": lambda: _mps(networks),
        "image_reward": lambda: _image_reward(networks),
    }


def _mps(networks: Networks) -> AnyMetric:
    from spf_bench.metrics.mps import MPS, MPSEncoder

    path, digest = networks.facts("mps")
    return MPS(MPSEncoder.from_weights(path, weights.path("clip"), networks.device, digest, networks.dtype))


def _image_reward(networks: Networks) -> AnyMetric:
    from spf_bench.metrics.image_reward import ImageReward, ImageRewardEncoder

    path, digest = networks.facts("image_reward")
    vocabulary = weights.path("bert_vocab")
    return ImageReward(ImageRewardEncoder.from_weights(path, vocabulary, networks.device, digest, networks.dtype))
