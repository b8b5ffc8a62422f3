"""Metrics: one file each, and which of them a suite uses."""

from collections.abc import Callable

from spf_bench.errors import unknown
from spf_bench.metrics.base import Metric, SetMetric


def for_suite(name: str, device: str = "cpu") -> list[Metric | SetMetric]:
    """Return a suite's metrics and those of plug-ins, in the order of the tables, on ``device``.

    Networks are loaded once each.

    Raises:
        UserError: Nobody knows the suite, or its networks are missing.
    """
    suites: dict[str, Callable[[str], list[Metric | SetMetric]]] = {"world": _world, "paper": _paper}
    if name not in suites:
        raise unknown("suite", name, suites, "spf-bench run --help")
    from spf_bench.metrics.plugins import join

    return join(name, device, suites[name](device))


def _paper(device: str) -> list[Metric | SetMetric]:
    from spf_bench.metrics.paper import paper_metrics

    return paper_metrics(device)


def _world(device: str) -> list[Metric | SetMetric]:
    import torch

    from spf_bench.files.store import folder_sha256
    from spf_bench.metrics import precision
    from spf_bench.metrics.attributes import Reader
    from spf_bench.metrics.clip_encoder import ClipEncoder
    from spf_bench.metrics.clip_i import ClipI
    from spf_bench.metrics.clip_t import ClipT
    from spf_bench.metrics.fid import FID
    from spf_bench.metrics.hit_rate import HitRate
    from spf_bench.metrics.hps import HPS
    from spf_bench.metrics.identity import Identity
    from spf_bench.metrics.kept import Kept
    from spf_bench.metrics.lpips import LPIPS
    from spf_bench.metrics.mps import MPS, MPSEncoder
    from spf_bench.metrics.segcons import SegCons
    from spf_bench.metrics.world import JudgeEncoder, PartSegmenter
    from spf_bench.world.assets import folder

    dtype: torch.dtype = getattr(torch, precision.asked())

    def look(name: str) -> ClipEncoder:
        return ClipEncoder.from_pretrained(name, folder(name), device, digest(name), dtype)

    def digest(name: str) -> str:
        return precision.marked(folder_sha256(folder(name)))

    judge = JudgeEncoder.from_pretrained(folder("judge"), device, digest("judge"), dtype)
    clip, hps = look("judge_clip"), look("hps")
    mps = MPSEncoder.from_pretrained(folder("mps"), device, digest("mps"), dtype)
    reader = Reader(judge)
    return [
        FID(judge),
        LPIPS(judge),
        Identity(judge),
        ClipI(clip),
        SegCons(PartSegmenter(judge)),
        ClipT(clip),
        HPS(hps),
        MPS(mps),
        HitRate(reader),
        Kept(reader),
    ]
