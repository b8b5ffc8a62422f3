"""Faces as InsightFace finds and recognises them.

Papers: SCRFD, Guo et al., arXiv:2105.04714; ArcFace, Deng et al., arXiv:1801.07698. Weights: pack buffalo_l,
``det_10g.onnx`` (SCRFD-10G) and ``w600k_r50.onnx`` (ResNet-50, WebFace600K); non-commercial research only.

The detector sees 640 px. A close-up whose face fills the frame is missed at that size; it is tried again at
320 and 128 px, and at last at 640 px with a black border of a quarter of the image. Which attempt found the face is
part of the output.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import code_sha256, file_sha256
from spf_bench.metrics.checkpoint import FETCH, fingerprint
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.insight_pack import Array, InsightPack

DETECTOR, RECOGNISER = "det_10g.onnx", "w600k_r50.onnx"
ATTEMPTS = ((640, 0.0), (320, 0.0), (128, 0.0), (640, 0.25))
"""Detector size in pixels and border as a share of the image, in the order tried."""
CODE = ("spf_bench.metrics.insight", "spf_bench.metrics.insight_pack")
MOST = 8  # faces kept per image, the largest


class Pack(Protocol):
    """A face detector and a recogniser; images are BGR [H, W, 3] uint8."""

    @property
    def width(self) -> int:
        """Length of an embedding."""

    def find(self, bgr: Image, size: int) -> tuple[Array, Array]:
        """Return boxes [F, 4], left top right bottom, and five landmarks [F, 5, 2] each, in pixels."""

    def embed(self, bgr: Image, landmarks: Array) -> Array:
        """Return the embedding [D] of the face at landmarks [5, 2]."""


class FaceEncoder:
    """Up to `MOST` faces of each image, the largest first.

    Args:
        pack: Finds and recognises.
        digest: Stands for its files.
        device: Where the outputs lie; the networks run where their provider is.
    """

    name, compact = "buffalo_l", True

    def __init__(self, pack: Pack, digest: str = "", device: str = "cpu") -> None:
        self.pack, self.digest, self.device = pack, digest, torch.device(device)

    @classmethod
    def from_weights(cls, folder: Path, device: str, sha256: str | None = None) -> Self:
        """Load the pack's two files from its folder.

        Raises:
            UserError: A file or insightface is missing, or a file is not what its name says.
        """
        files = [folder / name for name in (DETECTOR, RECOGNISER)]
        missing = [Problem(file.name, f"not in {folder}", f"{FETCH} id") for file in files if not file.is_file()]
        if missing:
            raise UserError("the face pack is incomplete", problems=missing)
        detector, recogniser = files
        content = sha256 or file_sha256(detector) + file_sha256(recogniser)
        known = fingerprint(
            detector,
            ATTEMPTS,
            code_sha256(*CODE),
            sha256=content,
        )
        return cls(InsightPack(detector, recogniser, device), known, device)

    def encode(self, images: Image) -> Outputs:
        """Find faces in RGB images [B, H, W, 3] uint8.

        Returns:
            ``identity`` [B, F, D] unit vectors and ``boxes`` [B, F, 4], NaN where there is no further face;
            ``faces`` [B], their number; ``attempt`` [B], which of `ATTEMPTS` found them, -1 if none did.
        """
        rows = [self._look(np.ascontiguousarray(image[..., ::-1])) for image in images]
        return {key: torch.stack([row[key] for row in rows]).to(self.device) for key in rows[0]}

    def _look(self, bgr: Image) -> Outputs:
        attempt, boxes, landmarks = search(self.pack, bgr)
        largest = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")[:MOST]
        embeddings = np.full((MOST, self.pack.width), np.nan, np.float32)
        kept = np.full((MOST, 4), np.nan, np.float32)
        for place, face in enumerate(largest):
            embedding = self.pack.embed(bgr, landmarks[face])
            embeddings[place], kept[place] = embedding / np.linalg.norm(embedding), boxes[face]
        arrays = {
            "identity": embeddings,
            "boxes": kept,
            "faces": np.float32(len(boxes)),
            "attempt": np.float32(attempt),
        }
        return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


def search(pack: Pack, bgr: Image, attempts: Sequence[tuple[int, float]] = ATTEMPTS) -> tuple[int, Array, Array]:
    """Return which attempt found a face, -1 if none, and the boxes [F, 4] and landmarks [F, 5, 2] it found."""
    for number, (size, border) in enumerate(attempts):
        pad = round(border * max(bgr.shape[:2]))
        framed = np.pad(bgr, ((pad, pad), (pad, pad), (0, 0))) if pad else bgr
        boxes, landmarks = pack.find(framed, size)
        if len(boxes):
            return number, boxes - pad, landmarks - pad
    return -1, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
