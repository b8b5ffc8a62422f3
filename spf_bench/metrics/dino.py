"""DINO structure distance: are the parts of the image where they were, whatever they look like?

Paper: Tumanyan et al., "Splicing ViT Features", arXiv:2201.00424, and as a score PnPInversion, arXiv:2310.01506.
Weights: DINO ViT-B/8, ``dino_vitbase8_pretrain.pth`` (Apache-2.0), and for FD-DINOv2 (``spf_bench.metrics.fid``)
DINOv2 ViT-L/14, ``dinov2_vitl14_pretrain.pth`` (Apache-2.0). Range: 0 to 4, in practice below .2, lower is better;
an image with itself has 0. Not comparable with PIE-Bench's figures: that code hands pixels of 0 to 255 to a network
made for 0 to 1.
"""

from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from spf_bench.files.store import code_sha256
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.checkpoint import fingerprint, fit, read_state
from spf_bench.metrics.compute import in_chunks, precision, to_pixels
from spf_bench.metrics.features import Encoder, Image, Outputs
from spf_bench.metrics.resize import pil_bicubic, short_side_bilinear
from spf_bench.metrics.vit import Shape, ViT

SIZE = 224
CHUNK = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
VITB8 = Shape(patch=8, width=768, depth=12, heads=12, grid=28)
VITL14 = Shape(patch=14, width=1024, depth=24, heads=16, grid=37, scaled=True)
CODE = tuple(f"spf_bench.metrics.{name}" for name in ("dino", "vit", "resize"))


class _Encoder:
    """A ViT of the DINO family.

    Args:
        network: With its weights; its device is where everything is computed.
        digest: Stands for the weights and the floating type.
        dtype: Floating type of the network.
    """

    shape: ClassVar[Shape]
    """Size of the published network."""

    def __init__(self, network: ViT, digest: str = "", dtype: torch.dtype = torch.float32) -> None:
        self.network, self.digest, self.dtype = network.eval(), digest, dtype
        self.device = network.cls_token.device

    @classmethod
    def from_weights(
        cls, path: Path, device: str, dtype: torch.dtype = torch.float32, sha256: str | None = None
    ) -> Self:
        """Load the published file; raises UserError where it is missing, damaged or of another network."""
        return cls(_load(cls.shape, path, device), fingerprint(path, dtype, code_sha256(*CODE), sha256=sha256), dtype)


class DinoEncoder(_Encoder):
    """The keys of the last attention of DINO ViT-B/8, at 224 px."""

    name, compact, shape = "dino_vitb8", False, VITB8

    @property
    def bulky(self) -> bool:
        """Whether keys are kept: on a CPU they take seconds an image, on a GPU no longer than 2 MB from a disk."""
        return self.device.type == "cpu"

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``keys`` [B, 1 + patches, D], unit vectors."""
        return in_chunks(self._encode, images, CHUNK)

    def _encode(self, images: Image) -> Outputs:
        pixels = short_side_bilinear(to_pixels(images, self.device) / 255, SIZE)
        with precision(self.device, self.dtype):
            keys = self.network.last_keys(imagenet(pixels))
        return {"keys": normalize(keys.float(), dim=-1)}


class DinoV2Encoder(_Encoder):
    """The class token of DINOv2 ViT-L/14 at 224 px, prepared as in the study of Stein et al., arXiv:2306.04675."""

    name, compact, shape = "dinov2_vitl14", True, VITL14

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``pooled`` [B, D]."""
        return in_chunks(self._encode, images, CHUNK)

    def _encode(self, images: Image) -> Outputs:
        pixels = to_pixels(pil_bicubic(images, SIZE), self.device) / 255
        with precision(self.device, self.dtype):
            return {"pooled": self.network(imagenet(pixels))[:, 0].float()}


class StructureDistance(Metric):
    """Mean squared difference of the two images' self-similarities, cosines between all pairs of patches.

    Args:
        encoder: A network whose output ``keys`` is [B, T, D], unit vectors.
    """

    key, title, group = "structure", "Structure", Group.preservation
    higher_is_better, bounds, decimals = False, (0.0, 4.0), 4
    source = "arXiv:2201.00424, arXiv:2310.01506"
    licence = "Apache-2.0"
    comparable = "no: not in the published table; PIE-Bench's code feeds other pixels"

    def __init__(self, encoder: Encoder) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the distances [B]."""
        original, custom = (side.of(self.encoders[0])["keys"] for side in (batch.original, batch.custom))
        rows = [_similarity(a).sub(_similarity(b)).square().mean() for a, b in zip(original, custom, strict=True)]
        return {self.key: torch.stack(rows)}


def imagenet(pixels: Tensor) -> Tensor:
    """Normalise pixels [B, 3, H, W] in [0, 1] as networks trained on ImageNet expect."""
    mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (MEAN, STD))
    return (pixels - mean) / std


def _similarity(keys: Tensor) -> Tensor:
    return keys @ keys.T


def _load(shape: Shape, path: Path, device: str) -> ViT:
    network = ViT(shape)
    fit(network, read_state(path), path, ignore=("mask_token",))
    return network.to(device)
