"""Both sides of the eight columns: our metric and the field's tool, over the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import scoring_tools as tools
from benchmarks.scoring_networks import MEAN, STD, TINY, Size, clip, inception, mps, preprocess, tokenizer
from benchmarks.scoring_networks import sam as segment_anything
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.metrics.clip_encoder import ClipEncoder, tokenize
from spf_bench.metrics.clip_i import ClipI
from spf_bench.metrics.clip_t import ClipT
from spf_bench.metrics.hps import HPS
from spf_bench.metrics.mps import MPS, MPSEncoder
from spf_bench.scoring.one_pass import Pair

Side = tuple[Metric | SetMetric, tools.Tool]
"""Our metric and the field's tool for one column."""
MISSING = (ImportError, RuntimeError)  # RuntimeError: a torchvision of another torch


def columns(folder: Path, points: int, quick: bool) -> tuple[list[Side], dict[str, str]]:
    """Both sides of every column whose packages are here, and why others are not.

    Args:
        folder: For files of weights.
        points: Side of the grid that prompts Segment Anything.
        quick: Tiny networks, and no tool's own distance between sets, which takes a minute.
    """
    size = TINY if quick else Size()
    makers: dict[str, Callable[[], Side | list[Side]]] = {
        "FID": lambda: _fid(folder, whole=not quick),
        "LPIPS": _lpips,
        "ID": lambda: _id(folder),
        "Seg-Cons": lambda: _seg_cons(size, points),
        "CLIP-I and CLIP-T": lambda: _clip(size),
        "HPSv2": lambda: _hps(size),
        "MPS": lambda: _mps(size),
    }
    sides: list[Side] = []
    left_out = {}
    for column, make in makers.items():
        try:
            made = make()
        except MISSING as error:
            left_out[column] = str(error).splitlines()[0]
            continue
        sides += made if isinstance(made, list) else [made]
    return sides, left_out


def _fid(folder: Path, whole: bool) -> Side:
    from spf_bench.metrics.fid import FID
    from spf_bench.metrics.inception import InceptionEncoder

    path = inception(folder / "inception.pth")
    return FID(InceptionEncoder.from_weights(path, "cpu")), tools.fidelity(path, whole)


def _lpips() -> Side:
    import lpips

    from spf_bench.metrics.lpips import LPIPS
    from spf_bench.metrics.lpips_trunk import LpipsTrunk, linear_heads, trunk

    torch.manual_seed(1)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    layers = trunk("alex")
    state = {name.split(".", 1)[1]: value for name, value in theirs.net.state_dict().items()}
    layers.load_state_dict(state)
    ours = LpipsTrunk("alex", layers, linear_heads("alex"), "random")
    return LPIPS(ours, ours.heads), tools.perceptual(theirs)


def _id(folder: Path) -> Side:
    from spf_bench.metrics.identity import FaceIdentity
    from spf_bench.metrics.insight import FaceEncoder
    from tests.bench.metrics.fake_faces import write_pack

    pack = folder / "faces"
    pack.mkdir()
    write_pack(pack)
    return FaceIdentity(FaceEncoder.from_weights(pack, "cpu")), tools.identity(pack)


def _seg_cons(size: Size, points: int) -> Side:
    from spf_bench.metrics.sam_automatic import SamAutomaticEncoder, SamRegions
    from spf_bench.metrics.segcons_hungarian import SegConsHungarian

    model = segment_anything(size)
    ours = SegConsHungarian(SamRegions(SamAutomaticEncoder(model, points, "random")))
    return ours, tools.automatic_masks(model, points)


def _clip(size: Size) -> list[Side]:
    from transformers import CLIPProcessor

    from spf_bench.models.image_processor import pil_processor

    model = clip(size, size.clip_patch, seed=2)
    images = pil_processor()(
        size={"shortest_edge": size.side}, crop_size={"height": size.side, "width": size.side},
        image_mean=list(MEAN), image_std=list(STD),
    )  # fmt: skip
    processor = CLIPProcessor(images, tokenizer())
    ours = ClipEncoder("clip", model, tokenizer(), preprocess(size), "random")
    metrics: list[Metric] = [ClipI(ours), ClipT(ours)]
    return [(metric, tools.clip_score(model, processor, metric.key)) for metric in metrics]


def _hps(size: Size) -> Side:
    model, words, prepare = clip(size, size.judge_patch, seed=3), tokenizer(), preprocess(size)

    def one(pair: Pair) -> float:
        seen = model(
            pixel_values=prepare(tools.picture(pair.custom)[None]), input_ids=tokenize(words, [pair.triple.prompt])
        )
        return float((seen.image_embeds * seen.text_embeds).sum())

    return HPS(ClipEncoder("hps", model, words, prepare, "random")), tools.one_by_one("hps", one)


def _mps(size: Size) -> Side:
    model, words, prepare = mps(size, seed=5), tokenizer(), preprocess(size)

    def one(pair: Pair) -> float:
        pixels = prepare(np.stack([tools.picture(pair.custom), tools.picture(pair.original)]))
        ids, condition = (tokenize(words, [text]) for text in (pair.triple.prompt, model.config.condition))
        return float(model(pixels, ids.expand(2, -1), condition)[0])

    return MPS(MPSEncoder(model, words, prepare, "random")), tools.one_by_one("mps", one)
