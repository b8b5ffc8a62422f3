"""The paper suite's networks in their full sizes with random weights: what scoring costs, not what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel

from benchmarks.scoring_networks import tokenizer
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.metrics.clip_encoder import CLIP_224, ClipEncoder, Preprocess
from spf_bench.metrics.mps_released import CLIP_H

AnyMetric = Metric | SetMetric
MISSING = (ImportError, RuntimeError)  # RuntimeError: a torchvision of another torch
L14 = {
    "text": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12},
    "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24},
}
MARKS = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407, "vocab_size": 49408}


class Suite:
    """The sixteen columns that the paper suite scores unasked, in the order of its table.

    Args:
        device: Where the networks compute.
        dtype: What they compute in.
        folder: For the files that only a file can give: the vocabulary and the face networks.
        thin: Width, depth and side of a few: to try the code without a GPU.
    """

    def __init__(self, device: str, dtype: torch.dtype, folder: Path, thin: bool = False) -> None:
        self.device, self.dtype, self.folder, self.thin = device, dtype, folder, thin
        self.left_out: dict[str, str] = {}

    def metrics(self) -> list[AnyMetric]:
        """Those whose packages are here; the others are named in `left_out`."""
        makers: dict[str, Callable[[], Iterator[AnyMetric]]] = {
            "FID, clean-FID, KID": self._inception,
            "CMMD": self._cmmd,
            "LPIPS": self._lpips,
            "PSNR, SSIM": self._pixels,
            "Structure": self._dino,
            "ID": self._faces,
            "Seg-Cons": self._sam,
            "CLIP-I, CLIP-T": self._clip,
            "CLIP-T (open)": self._open,
            "HPSv2": self._hps,
            "MPS": self._mps,
            "ImageReward": self._image_reward,
        }
        found: list[AnyMetric] = []
        for column, make in makers.items():
            torch.manual_seed(len(found))
            try:
                found += make()
            except MISSING as error:
                self.left_out[column] = str(error).splitlines()[0]
        return found

    def _ready(self, network: nn.Module, dtype: torch.dtype | None = None) -> Any:
        return network.eval().requires_grad_(False).to(self.device, dtype or torch.float32)

    def _inception(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.fid import FID, CleanFID
        from spf_bench.metrics.inception import InceptionEncoder
        from spf_bench.metrics.inception_model import Inception
        from spf_bench.metrics.kid import KID

        encoder = InceptionEncoder(self._ready(Inception()), weights="random", dtype=self.dtype)
        yield from (FID(encoder), CleanFID(encoder.resized("clean")), KID(encoder))

    def _cmmd(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.cmmd import CMMD

        yield CMMD(self._openai("clip_336", 336), output="image")

    def _lpips(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.lpips import LPIPS
        from spf_bench.metrics.lpips_trunk import LpipsTrunk, linear_heads, trunk

        heads = [head.to(self.device) for head in linear_heads("alex")]
        yield LPIPS(LpipsTrunk("alex", self._ready(trunk("alex")), heads, "random", self.dtype), heads)

    def _pixels(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.pixel import PSNR, SSIM, PixelEncoder

        encoder = PixelEncoder(self.device)
        yield from (PSNR(encoder), SSIM(encoder))

    def _dino(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.dino import VITB8, DinoEncoder, StructureDistance
        from spf_bench.metrics.vit import Shape, ViT

        shape = Shape(patch=32, width=32, depth=1, heads=2, grid=7) if self.thin else VITB8
        yield StructureDistance(DinoEncoder(self._ready(ViT(shape)), "random", self.dtype))

    def _faces(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.identity import FaceIdentity
        from spf_bench.metrics.insight import FaceEncoder
        from tests.bench.metrics.fake_faces import write_pack

        pack = self.folder / "faces"
        pack.mkdir(exist_ok=True)
        write_pack(pack)
        yield FaceIdentity(FaceEncoder.from_weights(pack, self.device))

    def _sam(self) -> Iterator[AnyMetric]:
        from segment_anything import sam_model_registry

        from benchmarks.scoring_networks import TINY, sam
        from spf_bench.metrics.sam import SamEncoder, SamSegmenter
        from spf_bench.metrics.segcons import SegCons

        network = sam(TINY) if self.thin else sam_model_registry["vit_h"]()
        yield SegCons(SamSegmenter(SamEncoder(self._ready(network), digest="random", dtype=self.dtype)))

    def _clip(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.clip_i import ClipI
        from spf_bench.metrics.clip_t import ClipT

        encoder = self._openai("clip", 224)
        yield from (ClipI(encoder), ClipT(encoder))

    def _open(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.clip_open import ClipOpen

        yield ClipOpen(self._openclip("clip_datacomp", "ViT-L-14"))

    def _hps(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.hps import HPS

        yield HPS(self._openclip("hps", "ViT-H-14"))

    def _mps(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.mps import MPS, MPSEncoder
        from spf_bench.metrics.mps_model import MPSConfig, MPSModel

        out = 32 if self.thin else CLIP_H["projection_dim"]
        config = self._sizes(CLIP_H["text_config"], CLIP_H["vision_config"], 14, 224, out)
        few: dict[str, Any] = {"layers": 1, "heads": 2, "dim_head": 8} if self.thin else {}
        model = MPSModel(MPSConfig(clip=config.to_dict(), **few))
        yield MPS(MPSEncoder(self._ready(model, self.dtype), tokenizer(), CLIP_224, "random"))

    def _image_reward(self) -> Iterator[AnyMetric]:
        from spf_bench.metrics.image_reward import ImageReward, ImageRewardEncoder
        from spf_bench.metrics.image_reward_model import ImageRewardModel, Sizes

        letters = [chr(code) for code in range(97, 123)]
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", *letters, *(f"##{letter}" for letter in letters)]
        vocabulary = self.folder / "vocabulary.txt"
        vocabulary.write_text("\n".join(words) + "\n", encoding="utf-8")
        sizes = Sizes(dim=32, depth=1, heads=2, text_dim=32, text_depth=1, text_heads=2) if self.thin else Sizes()
        model = self._ready(ImageRewardModel(sizes), self.dtype)
        yield ImageReward(ImageRewardEncoder(model, vocabulary, digest="random"))

    def _sizes(self, text: Any, vision: Any, patch: int, side: int, out: int) -> CLIPConfig:
        few = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
        less = few if self.thin else {}
        seen = {**vision, **less, "patch_size": patch, "image_size": side}
        return CLIPConfig(text_config={**text, **MARKS, **less}, vision_config=seen, projection_dim=out)

    def _openai(self, name: str, side: int) -> ClipEncoder:
        model = CLIPModel(self._sizes(L14["text"], L14["vision"], 14, side, 768))
        prepare = Preprocess(side, CLIP_224.mean, CLIP_224.std)
        return ClipEncoder(name, self._ready(model, self.dtype), tokenizer(), prepare, name)

    def _openclip(self, name: str, architecture: str) -> Any:
        from spf_bench.metrics.open_clip_encoder import OpenClipEncoder, build

        if self.thin:
            return self._openai(name, 224)
        model, words = build(architecture)
        return OpenClipEncoder(name, self._ready(model, self.dtype), words, digest=name)
