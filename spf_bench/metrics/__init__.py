"""Metrics: one file each, and which of them a suite uses."""

from collections.abc import Callable

from spf_bench.errors import unknown
from spf_bench.metrics.base import Metric, SetMetric


def for_suite(name: str, device: str = "cpu") -> list[Metric | SetMetric]:
    """Return a suite's metrics in the order of the tables, their networks loaded once each on ``device``.

    Raises:
        UserError: Nobody knows the suite, or its networks are missing.
    """
    suites: dict[str, Callable[[str], list[Metric | SetMetric]]] = {"world": _world}
    if name not in suites:
        raise unknown("suite", name, suites, "spf-bench run --help")
    return suites[name](device)


def _world(device: str) -> list[Metric | SetMetric]:
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

    judge = JudgeEncoder.from_pretrained(folder("judge"), device)
    clip = ClipEncoder.from_pretrained("judge_clip", folder("judge_clip"), device)
    hps = ClipEncoder.from_pretrained("hps", folder("hps"), device)
    mps = MPSEncoder.from_pretrained(folder("mps"), device)
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
