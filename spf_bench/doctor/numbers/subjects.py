"""What is measured: every metric of a suite, over shipped weights or in miniature."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from spf_bench.doctor.numbers.measure import AnyMetric
from spf_bench.doctor.numbers.pairs import LARGE, SMALL
from spf_bench.errors import unknown

EXACT, LOOSE = 1e-3, 1e-2
"""How far a value may lie from the stored one, as a share of the largest of its column: as much as another processor
rounds otherwise; and of masks, of which a pixel may fall on the other side."""
SUITES = ("world", "paper")
WORLD = ("fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps", "hit_rate", "kept")
PAPER = (
    ("fid", "fid:FID", "inception_tf1", LARGE),
    ("fid_clean", "fid:CleanFID", "inception_clean", LARGE),
    ("kid", "kid:KID", "inception_tf1", LARGE),
    ("cmmd", "cmmd:CMMD", "clip_336", LARGE),
    ("fd_dinov2", "fid:FDDinoV2", "dinov2", LARGE),
    ("lpips", "lpips:LPIPS", "lpips_alex", SMALL),
    ("lpips_vgg", "lpips:LPIPSVGG", "lpips_vgg", SMALL),
    ("psnr", "pixel:PSNR", "pixels", SMALL),
    ("ssim", "pixel:SSIM", "pixels", SMALL),
    ("structure", "dino:StructureDistance", "dino", LARGE),
    ("id", "identity:FaceIdentity", "faces", LARGE),
    ("seg_cons", "segcons:SegCons", "sam", LARGE),
    ("seg_cons_hungarian", "segcons_hungarian:SegConsHungarian", "sam_automatic", LARGE),
    ("clip_i", "clip_i:ClipI", "clip", LARGE),
    ("clip_t", "clip_t:ClipT", "clip", LARGE),
    ("clip_open", "clip_open:ClipOpen", "clip_datacomp", LARGE),
    ("hps", "hps:HPS", "hps", LARGE),
    ("hps_v20", "hps:HPSv20", "hps_v20", LARGE),
    ("mps", "mps:MPS", "mps", LARGE),
    ("image_reward", "image_reward:ImageReward", "image_reward", LARGE),
)
"""Key, class, network in miniature, and pixels of the pairs."""


@dataclass(frozen=True)
class Subject:
    """One metric with what it is measured on."""

    key: str
    """Its own key."""
    suite: str
    """``world``, with the shipped weights, or ``paper``, in miniature."""
    build: Callable[[], AnyMetric]
    """Makes it ready; raises ImportError or UserError where a package is missing."""
    size: int
    """Of the pairs it is measured on, in pixels."""

    @property
    def tolerance(self) -> float:
        """How far a value may drift."""
        return LOOSE if self.key.startswith("seg_cons") else EXACT


def subjects(suite: str) -> list[Subject]:
    """Return the metrics of a suite in the order of its tables; they share their networks.

    Raises:
        UserError: Nobody knows the suite.
    """
    if suite not in SUITES:
        raise unknown("suite", suite, SUITES, "spf-bench doctor --help")
    return list(_world() if suite == "world" else _paper())


def _world() -> Iterator[Subject]:
    @cache
    def metrics() -> dict[str, AnyMetric]:
        from spf_bench.metrics import for_suite

        return {metric.key: metric for metric in for_suite("world", "cpu")}

    for key in WORLD:
        yield Subject(key, "world", lambda key=key: metrics()[key], SMALL)  # type: ignore[misc]


def _paper() -> Iterator[Subject]:
    network = cache(_network)
    for key, kind, name, size in PAPER:
        yield Subject(key, "paper", lambda k=kind, n=name: _built(k, network(n)), size)  # type: ignore[misc]


def _built(kind: str, seen: Any) -> AnyMetric:
    module, _, name = kind.partition(":")
    metric = getattr(import_module(f"spf_bench.metrics.{module}"), name)
    made: AnyMetric = metric(seen, seen.heads) if module == "lpips" else metric(seen)
    return made


def _network(name: str) -> Any:
    from spf_bench.doctor.numbers import miniature, miniature_regions
    from spf_bench.metrics.pixel import PixelEncoder

    found: dict[str, Callable[[], Any]] = {**miniature.BUILDERS, **miniature_regions.BUILDERS, "pixels": PixelEncoder}
    return found[name]()
