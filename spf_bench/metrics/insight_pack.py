"""SCRFD and ArcFace as InsightFace runs them; weights and licence as in ``spf_bench.metrics.insight``."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.errors import UserError
from spf_bench.metrics.checkpoint import CHECK
from spf_bench.metrics.features import Image

THRESHOLD = 0.5
INSTALL = 'pip install "onnxruntime-gpu[cuda,cudnn]" && pip install --no-deps insightface  # docs/metrics.md'
Array = NDArray[np.float32]


class InsightPack:
    """The two networks through InsightFace, on CUDA where asked for and possible.

    Raises:
        UserError: InsightFace is not installed, or a file is not a detector or recogniser.
    """

    def __init__(self, detector: Path, recogniser: Path, device: str) -> None:
        self._detector = _model(detector, "detection", device)
        self._recogniser = _model(recogniser, "recognition", device)
        self._detector.prepare(0, det_thresh=THRESHOLD)
        self.width = int(self._recogniser.output_shape[-1])
        self.provider: str = self._detector.session.get_providers()[0]
        if device.startswith("cuda") and self.provider != "CUDAExecutionProvider":
            warnings.warn(f"faces are found on the CPU: onnxruntime offers {self.provider}; {INSTALL}", stacklevel=2)

    def find(self, bgr: Image, size: int) -> tuple[Array, Array]:
        """Detect at one size alone; without it, InsightFace 2 merges two sizes."""
        found, landmarks = self._detector.detect(bgr, input_size=(size, size))
        return found[:, :4], landmarks

    def embed(self, bgr: Image, landmarks: Array) -> Array:
        """Align by the five landmarks to 112 px and recognise."""
        from insightface.app.common import Face

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of scikit-image, in InsightFace's alignment
            return self._recogniser.get(bgr, Face(kps=landmarks))


def _model(path: Path, task: str, device: str) -> Any:
    try:
        from insightface.model_zoo import get_model
    except ImportError as error:
        raise UserError("faces cannot be found without insightface", str(error).split(".")[0], INSTALL) from error
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    try:
        model = get_model(str(path), providers=[*wanted, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way a file can be damaged
        raise UserError(f"{path} cannot be read", str(error).splitlines()[0], CHECK) from error
    if model is None or model.taskname != task:
        raise UserError(f"{path} is no network for {task}", fix=CHECK)
    return model
