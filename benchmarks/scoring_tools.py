"""The field's tools for the eight columns, each as its own examples call it: one after another, nothing shared.

What takes batches gets them. The distance between two sets of Inception features is left out of the times on both
sides: it costs the same for a hundred images and for a million.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.scoring_networks import folders
from spf_bench.metrics.segcons_hungarian import matched
from spf_bench.scoring.one_pass import Pair

BATCH = 32


@dataclass(frozen=True)
class Tool:
    """One of the field's tools."""

    package: str
    """Whose it is."""
    column: str
    """What it measures."""
    run: Callable[[Sequence[Pair]], Any]
    """Looks at the images; timed."""
    number: Callable[[Any], float]
    """Makes one number of what it saw; not timed."""
    tolerance: float
    """How far ours may lie from it."""

    @property
    def title(self) -> str:
        """Package and version."""
        known = {one.lower() for one in metadata.packages_distributions()}
        name = {"torch_fidelity": "torch-fidelity", "segment_anything": "segment-anything"}.get(self.package)
        return f"{name or self.package} {metadata.version(name or self.package)}" if self.package in known else "a loop"


def fidelity(weights: Path, whole: bool) -> Tool:
    """torch-fidelity's FID; where not `whole`, its features and our distance, which is the same and takes no minute."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id

    from spf_bench.metrics.fid import frechet_distance

    settings = {"cuda": False, "verbose": False, "batch_size": BATCH, "save_cpu_ram": True}
    extractor = create_feature_extractor(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights), **settings
    )

    def run(pairs: Sequence[Pair]) -> list[Tensor]:
        inputs = dict(zip(("input1", "input2"), folders(pairs), strict=True))
        return [extract_featuresdict_from_input_id(i, extractor, **inputs, **settings)["2048"] for i in (1, 2)]

    def number(features: list[Tensor]) -> float:
        if not whole:
            return frechet_distance(*features)
        found: dict[str, float] = fid_statistics_to_metric(*map(fid_features_to_statistics, features), False)
        return next(iter(found.values()))

    return Tool("torch_fidelity", "fid", run, number, 1e-2)


def perceptual(network: Any) -> Tool:
    """The authors' LPIPS, in batches."""

    @torch.inference_mode()
    def run(pairs: Sequence[Pair]) -> Tensor:
        found = [network(*(_pixels(side) for side in sides), normalize=True).flatten() for sides in _sides(pairs)]
        return torch.cat(found)

    return Tool("lpips", "lpips", run, _mean, 1e-5)


def clip_score(model: Any, processor: Any, column: str) -> Tool:
    """torchmetrics' CLIP score of image and target text, or of the two images, in batches."""
    from torchmetrics.multimodal.clip_score import CLIPScore

    metric = CLIPScore(lambda: (Plain(model), processor))

    @torch.inference_mode()
    def run(pairs: Sequence[Pair]) -> float:
        metric.reset()
        for part in _parts(pairs):
            custom = [_tensor(pair.custom) for pair in part]
            other: Any = [pair.triple.target for pair in part]
            metric.update(custom, [_tensor(pair.original) for pair in part] if column == "clip_i" else other)
        return float(metric.score / metric.n_samples / 100)  # its compute() would lift a mean below 0 to 0

    return Tool("torchmetrics", column, run, float, 1e-5)


class Plain(nn.Module):
    """A CLIP whose features are tensors, as torchmetrics takes them to be: transformers 5 gives whole outputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def get_image_features(self, pixels: Tensor) -> Tensor:
        """Projected image features [B, D]."""
        return _plain(self.model.get_image_features(pixels))

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Projected text features [B, D]."""
        return _plain(self.model.get_text_features(ids, mask))


def _plain(features: Any) -> Tensor:
    found: Tensor = features if torch.is_tensor(features) else features.pooler_output
    return found


def identity(folder: Path) -> Tool:
    """InsightFace's front: every image searched for faces, the largest compared."""
    from insightface.app import FaceAnalysis

    wanted = {"allowed_modules": ["detection", "recognition"], "providers": ["CPUExecutionProvider"]}
    front = FaceAnalysis(str(folder), **wanted)
    front.prepare(ctx_id=0, det_thresh=0.5, det_size=(640, 640))

    def face(path: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of scikit-image, in its alignment
            found = front.get(np.ascontiguousarray(picture(path)[..., ::-1]))
        return max(found, key=lambda one: float(np.prod(one.bbox[2:] - one.bbox[:2]))).normed_embedding

    def run(pairs: Sequence[Pair]) -> list[float]:
        return [float(face(pair.original) @ face(pair.custom)) for pair in pairs]

    return Tool("insightface", "id", run, lambda values: float(np.mean(values)), 1e-4)


def automatic_masks(model: Any, side: int) -> Tool:
    """segment-anything's automatic masks of both images, matched one to one."""
    from segment_anything import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(model, points_per_side=side)

    def masks(path: Path) -> Tensor:
        pixels = picture(path)
        smallest = 100 / 512**2 * pixels.shape[0] * pixels.shape[1]
        found = [one["segmentation"] for one in generator.generate(pixels) if one["area"] >= smallest]
        return torch.from_numpy(np.stack(found) if found else np.zeros((0, *pixels.shape[:2]), bool))

    def run(pairs: Sequence[Pair]) -> list[float]:
        return [100 * matched(masks(pair.original), masks(pair.custom)) for pair in pairs]

    return Tool("segment_anything", "seg_cons_hungarian", run, lambda values: float(np.nanmean(values)), 1e-6)


def one_by_one(column: str, score: Callable[[Pair], float]) -> Tool:
    """A loop over pairs, as the released scripts of HPSv2 and MPS score: image and text read anew each time."""

    @torch.inference_mode()
    def run(pairs: Sequence[Pair]) -> list[float]:
        return [score(pair) for pair in pairs]

    return Tool("", column, run, lambda values: float(np.mean(values)), 1e-4)


def _sides(pairs: Sequence[Pair]) -> Iterator[tuple[list[Path], list[Path]]]:
    return (([pair.original for pair in part], [pair.custom for pair in part]) for part in _parts(pairs))


def _parts(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    return (pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH))


def _pixels(paths: Iterable[Path]) -> Tensor:
    return torch.stack([_tensor(path) for path in paths]).float() / 255


def _tensor(path: Path) -> Tensor:
    return torch.from_numpy(picture(path)).permute(2, 0, 1)


def picture(path: Path) -> np.ndarray:
    """An RGB image [H, W, 3] uint8."""
    with Image.open(path) as file:
        return np.array(file.convert("RGB"))


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
