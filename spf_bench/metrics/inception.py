"""Inception features, as FID, clean-FID and KID compare them.

Weights: ``weights-inception-2015-12-05-6726825d.pth``, torch-fidelity's conversion of the TensorFlow graph
(Apache-2.0). Range of a feature: 0 and up. The way an image is brought to 299 px is part of the name: features
of two ways are not comparable.
"""

from pathlib import Path
from typing import Literal, Self

import torch

from spf_bench.files.store import code_sha256, digest
from spf_bench.metrics.checkpoint import fingerprint, fit, read_state
from spf_bench.metrics.compute import in_chunks, precision, to_pixels
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.inception_model import Inception
from spf_bench.metrics.resize import clean_bicubic, tf1_bilinear

SIZE = 299
CHUNK = 32
CODE = tuple(f"spf_bench.metrics.{name}" for name in ("inception", "inception_model", "inception_blocks", "resize"))
Resize = Literal["tf1", "clean"]


class InceptionEncoder:
    """The 2048 pooled features of the 2015 Inception network.

    Args:
        network: With its weights; its device is where everything is computed.
        resize: ``tf1`` as the first FID, ``clean`` as clean-fid.
        weights: Stands for the weights and the floating type.
        dtype: Floating type of the network; resizing is always in float32.
    """

    compact = True

    def __init__(
        self, network: Inception, resize: Resize = "tf1", weights: str = "", dtype: torch.dtype = torch.float32
    ) -> None:
        self.network, self.resize, self.weights, self.dtype = network.eval(), resize, weights, dtype
        self.name, self.digest = f"inception_{resize}", digest([weights, resize], length=64)
        self.device = next(network.parameters()).device

    @classmethod
    def from_weights(
        cls,
        path: Path,
        device: str,
        dtype: torch.dtype = torch.float32,
        resize: Resize = "tf1",
        sha256: str | None = None,
    ) -> Self:
        """Load the published file; raises UserError where it is missing, damaged or of another network."""
        network = Inception()
        fit(network, read_state(path), path, ignore=("fc.",))
        return cls(network.to(device), resize, fingerprint(path, dtype, code_sha256(*CODE), sha256=sha256), dtype)

    def resized(self, resize: Resize) -> Self:
        """Return an encoder over the same network that resizes otherwise."""
        return type(self)(self.network, resize, self.weights, self.dtype)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``pooled`` [B, 2048]."""
        return in_chunks(self._encode, images, CHUNK)

    def _encode(self, images: Image) -> Outputs:
        if self.resize == "tf1":
            pixels = tf1_bilinear(to_pixels(images, self.device), SIZE)
        else:
            pixels = clean_bicubic(images, SIZE).to(self.device)
        with precision(self.device, self.dtype):
            return {"pooled": self.network((pixels - 128) / 128).float()}
