"""Everything Segment Anything finds in an image, for the Hungarian variant of Seg-Cons.

Paper and weights: as ``spf_bench.metrics.sam``. A thousand prompts an image: seconds on a large GPU.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from spf_bench.files.store import code_sha256, digest
from spf_bench.metrics.bits import pack, unpack
from spf_bench.metrics.checkpoint import fingerprint
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.sam import SamEncoder, load, prompt
from spf_bench.metrics.segcons import grid
from spf_bench.metrics.segcons_hungarian import GRID, MIN_AREA, automatic

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

MOST = 256  # regions kept per image, the surest; an image of 512 px has a few dozen
CODE = tuple(f"spf_bench.metrics.{name}" for name in ("sam", "sam_automatic", "segcons_hungarian"))


class SamAutomaticEncoder:
    """All regions of an image under a grid of 32² points.

    Args:
        model: SAM; its device is where everything is computed.
        side: Points per side of the grid.
        digest: Stands for the weights and the floating type.
        dtype: Floating type of the networks.
    """

    compact, bulky = False, True

    def __init__(self, model: "Sam", side: int = GRID, digest: str = "", dtype: torch.dtype = torch.float32) -> None:
        self.model, self.side, self.digest, self.dtype = model, side, digest, dtype
        self.name, self.device = f"sam_automatic_{side}", model.device

    @classmethod
    def from_weights(
        cls, path: Path, device: str, dtype: torch.dtype = torch.float32, side: int = GRID, sha256: str | None = None
    ) -> Self:
        """Load a published file; raises UserError as `SamEncoder.from_weights`."""
        return cls(load(path, device), side, fingerprint(path, dtype, side, code_sha256(*CODE), sha256=sha256), dtype)

    @classmethod
    def beside(cls, encoder: SamEncoder, side: int = GRID) -> Self:
        """Return an encoder over the network of another."""
        return cls(encoder.model, side, digest([encoder.digest, side, code_sha256(*CODE)], length=64), encoder.dtype)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``regions`` [B, R, H, W/8], eight pixels a byte, empty after the last."""
        return {"regions": torch.stack([self._look(image) for image in images])}

    def _look(self, image: Image) -> Tensor:
        parts = prompt(self.model, image, grid(self.side), self.dtype)
        found = pack(automatic(parts, MIN_AREA / 512**2)[:MOST])
        rest = found.new_zeros(MOST - len(found), *found.shape[1:])
        return torch.cat([found, rest])


class SamRegions:
    """The regions that a `SamAutomaticEncoder` saw, as the Hungarian variant asks for them."""

    def __init__(self, encoder: SamAutomaticEncoder) -> None:
        self.encoder = encoder

    def find(self, seen: Outputs) -> Tensor:
        """Return the masks [R, H, W] of one image."""
        packed = seen["regions"]
        return unpack(packed[(packed != 0).flatten(1).any(1)])
