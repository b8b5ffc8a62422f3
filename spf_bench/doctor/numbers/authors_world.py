"""The world's metrics by other people's code: its networks are its own, everything around them is not."""

from typing import Any

import torch
from torch import Tensor

from spf_bench.doctor.numbers.authors import (
    Author,
    Theirs,
    clip_columns,
    clip_embeddings,
    cosines,
    frechet,
    of,
    planes,
    sides,
)
from spf_bench.doctor.numbers.pairs import Pairs
from spf_bench.world.assets import folder


def _judged(pairs: Pairs) -> list[Any]:
    from spf_bench.world.judge import Judge

    judge = Judge.from_pretrained(folder("judge"))
    with torch.no_grad():
        return [judge(planes(side).float() / 127.5 - 1) for side in sides(pairs)]


def fid(pairs: Pairs) -> list[Theirs]:
    """FID by torch-fidelity."""
    first, second = (seen.pooled for seen in _judged(pairs))
    return [Theirs("fid", [frechet(first, second)], of("torch-fidelity"))]


def lpips(pairs: Pairs) -> list[Theirs]:
    """LPIPS by the authors' package, all channels and stages weighed alike."""
    import lpips as package

    def stage(a: Tensor, b: Tensor) -> Tensor:
        gap = (package.normalize_tensor(a) - package.normalize_tensor(b)).square().sum(1, keepdim=True)
        return package.spatial_average(gap, keepdim=False).flatten()

    first, second = _judged(pairs)
    stages = [stage(a, b) for a, b in zip(first.stages, second.stages, strict=True)]
    values = torch.stack(stages).sum(0) / (2 * len(stages))
    return [Theirs("lpips", values.tolist(), of("lpips"))]


def identity(pairs: Pairs) -> list[Theirs]:
    """ID by InsightFace's similarity."""
    first, second = (seen.identity for seen in _judged(pairs))
    values, source = cosines(first, second), of("insightface")
    return [Theirs("id", values, source), Theirs("id_detected", values, source)]


def clip_i(pairs: Pairs) -> list[Theirs]:
    """CLIP-I by Hugging Face's forward pass and image processor."""
    return [_clip("judge_clip", pairs)["image"]]


def clip_t(pairs: Pairs) -> list[Theirs]:
    """CLIP-T likewise."""
    found = _clip("judge_clip", pairs)
    return [found["target"], found["full"]]


def hps(pairs: Pairs) -> list[Theirs]:
    """The preference scorer, a CLIP over complete texts, likewise."""
    return [_clip("hps", pairs)["full"]._replace(column="hps")]


def _clip(name: str, pairs: Pairs) -> dict[str, Theirs]:
    from transformers import CLIPModel, CLIPTokenizerFast

    from spf_bench.models.image_processor import pil_processor

    place = folder(name)
    model, tokenizer = CLIPModel.from_pretrained(place).float().eval(), CLIPTokenizerFast.from_pretrained(place)
    processor = pil_processor().from_pretrained(place)
    source = of("transformers", what="forward pass and image processor")
    return clip_columns(lambda i, t: clip_embeddings(model, processor, i, tokenizer, t), pairs, source)


AUTHORS: dict[str, Author] = {
    "fid": fid,
    "lpips": lpips,
    "id": identity,
    "clip_i": clip_i,
    "clip_t": clip_t,
    "hps": hps,
}
