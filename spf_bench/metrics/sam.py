"""Segment Anything, prompted with points.

Paper: Kirillov et al., arXiv:2304.02643. Weights: ``sam_vit_h_4b8939.pth`` (or ``sam_vit_l_0b3195.pth``,
``sam_vit_b_01ec64.pth``), Apache-2.0. A network for GPUs: on two CPU cores the smallest takes more than a minute per
image. What was seen of originals is kept, so a second method pays for its own images only.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.files.store import code_sha256
from spf_bench.metrics.bits import pack, unpack
from spf_bench.metrics.checkpoint import State, fingerprint, fit, read_state
from spf_bench.metrics.compute import precision
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.segcons import Proposals, grid

if TYPE_CHECKING:
    from segment_anything import SamPredictor
    from segment_anything.modeling import Sam

SIZES = {1280: "vit_h", 1024: "vit_l", 768: "vit_b"}
OFFSET = 1.0  # logits by which a mask is drawn more strictly and more loosely, SAM's default
CHUNK = 16  # points at a time: their masks at 1024 px take 200 MB


class SamEncoder:
    """SAM's three masks for each point of a grid, at the size of the image.

    Args:
        model: SAM; its device is where everything is computed.
        side: Points per side of the grid.
        digest: Stands for the weights and the floating type.
        dtype: Floating type of the networks.
    """

    compact, bulky = False, True

    def __init__(self, model: "Sam", side: int = 8, digest: str = "", dtype: torch.dtype = torch.float32) -> None:
        self.model, self.side, self.digest, self.dtype = model, side, digest, dtype
        self.name, self.device, self.points = f"sam_{side}", model.device, grid(side)

    @classmethod
    def from_weights(
        cls, path: Path, device: str, dtype: torch.dtype = torch.float32, side: int = 8, sha256: str | None = None
    ) -> Self:
        """Load a published file, whichever of the three sizes it has.

        Raises:
            UserError: The file is missing, damaged or of another network, or segment-anything is not installed.
        """
        return cls(
            load(path, device),
            side,
            fingerprint(path, dtype, side, code_sha256("spf_bench.metrics.sam"), sha256=sha256),
            dtype,
        )

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """Prompt RGB images [B, H, W, 3] uint8, one at a time so that company changes nothing.

        Returns:
            ``masks`` [B, K, 3, H, W/8], eight pixels a byte; ``iou`` and ``stability`` [B, K, 3].
        """
        rows = [self._look(image) for image in images]
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    def _look(self, image: Image) -> Outputs:
        parts = list(prompt(self.model, image, self.points, self.dtype))
        return {
            "masks": torch.cat([pack(part.masks) for part in parts]),
            "iou": torch.cat([part.iou for part in parts]),
            "stability": torch.cat([part.stability for part in parts]),
        }


class SamSegmenter:
    """The masks that a `SamEncoder` saw, as Seg-Cons asks for them."""

    def __init__(self, encoder: SamEncoder) -> None:
        self.encoder = encoder

    def propose(self, seen: Outputs, points: Tensor) -> Proposals:
        """Answer the points of the encoder's grid; raises ValueError for others."""
        if not torch.equal(points, self.encoder.points):
            raise ValueError(f"SAM was prompted with a grid of {self.encoder.side}² points and no others")
        return Proposals(unpack(seen["masks"]), seen["iou"], seen["stability"])


def prompt(model: "Sam", image: Image, points: Tensor, dtype: torch.dtype = torch.float32) -> Iterator[Proposals]:
    """Look at an RGB image [H, W, 3] once, and answer points [K, 2], fractions of it, a few at a time."""
    from segment_anything import SamPredictor

    predictor = SamPredictor(model)
    height, width = image.shape[:2]
    with precision(model.device, dtype):
        predictor.set_image(image)
    places = torch.from_numpy(
        predictor.transform.apply_coords(points.double().numpy() * (width, height), (height, width))
    )
    for part in places.float().to(model.device).split(CHUNK):
        yield _answer(predictor, part, precision(model.device, dtype))


def load(path: Path, device: str) -> "Sam":
    """Build SAM in the size that the file has, and load it; raises UserError as `SamEncoder.from_weights`."""
    state = read_state(path)
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise UserError("SAM needs segment-anything", str(error), "pip install segment-anything torchvision") from error
    model = sam_model_registry[_size(state, path)]()
    fit(model, state, path)
    return model.eval().to(device)


def _answer(predictor: "SamPredictor", places: Tensor, context: AbstractContextManager[object]) -> Proposals:
    labels = torch.ones(len(places), 1, dtype=torch.int, device=places.device)
    with context:
        logits, iou, _ = predictor.predict_torch(places[:, None], labels, multimask_output=True, return_logits=True)
    strict, loose = ((logits > level).sum((2, 3)) for level in (OFFSET, -OFFSET))
    return Proposals(logits > predictor.model.mask_threshold, iou.float(), strict / loose.clamp(min=1))


def _size(state: State, path: Path) -> str:
    position = state.get("image_encoder.pos_embed")
    width = 0 if position is None else position.shape[-1]
    if width not in SIZES:
        raise UserError(f"{path.name} is no SAM of a known size", fix="spf-bench weights check seg_cons")
    return SIZES[width]
