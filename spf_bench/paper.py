"""What a user decides about the paper suite, each by an option of ``spf-bench run`` or by a variable."""

import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from spf_bench import weights
from spf_bench.errors import Problem, UserError, installing
from spf_bench.metrics.precision import PRECISIONS
from spf_bench.metrics.precision import VARIABLE as PRECISION
from spf_bench.weights.base import base_path

BASE, TRAINSET, EXTRA = "SPF_BENCH_BASE", "SPF_BENCH_TRAINSET", "SPF_BENCH_METRICS"
ON_REQUEST = {
    "fd_dinov2": "dinov2",
    "lpips_vgg": "vgg16",
    "seg_cons_hungarian": "sam_vit_h",
    "hps_v20": "hps_v20",
}
"""Metrics that are scored only where asked for, and the checkpoint each needs besides the suite's."""
OWN = tuple(row.name for row in weights.chosen(()) if row.name != "base")
"""Names of the checkpoints that the suite's own metrics look through."""
MODULES = {
    "open_clip": "clip_open, hps, hps_v20",
    "torchvision": "clip_open, hps, hps_v20",
    "segment_anything": "seg_cons, seg_cons_hungarian",
    "insightface": "id",
    "onnxruntime": "id",
}
"""Packages outside the core installation, and whose they are."""
INSTALL = installing("paper")
RUNTIME = "pip install onnxruntime  # or, on a GPU machine, 'onnxruntime-gpu[cuda,cudnn]': never both"


@dataclass(frozen=True)
class Settings:
    """The paper suite's settings."""

    base: str | None = None
    """Base model: a folder, a single file, or ``owner/name`` on the Hub; None is Realistic Vision V4.0."""
    trainset: Path | None = None
    """Folder of customisation portraits with ``metadata.jsonl``; None where nothing trains."""
    extra: tuple[str, ...] = ()
    """Metrics of ``ON_REQUEST`` that are scored too."""
    precision: str = "float32"
    """What the judges compute in, one of ``PRECISIONS``."""
    only: tuple[str, ...] = ()
    """Keys of the metrics that are scored, where not all of the suite's own and those of ``extra`` are."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read the variables; raises UserError naming all that have no meaning."""
        value = os.environ.get
        trainset = value(TRAINSET)
        extra = tuple(part.strip() for part in value(EXTRA, "").split(",") if part.strip())
        precision = value(PRECISION) or "float32"
        problems = list(_meaningless(extra, precision))
        if problems:
            raise UserError("the paper suite's settings do not fit", problems=problems)
        return cls(value(BASE) or None, Path(trainset).expanduser() if trainset else None, extra, precision)

    @staticmethod
    def keep(base: str | Path | None, trainset: Path | None) -> None:
        """Make these the settings, for this process and those that it starts; None leaves one as it is."""
        for variable, value in ((BASE, base), (TRAINSET, trainset)):
            if value is not None:
                os.environ[variable] = str(value)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of the checkpoints that scoring needs."""
        if self.only:
            rows = weights.CHECKPOINTS.values()
            return tuple(row.name for row in rows if row.name != "base" and {*row.used_by} & {*self.only})
        return tuple(dict.fromkeys([*OWN, *(ON_REQUEST[key] for key in self.extra)]))

    def asked(self, key: str) -> bool:
        """Whether a metric is scored."""
        return key in self.only if self.only else key not in ON_REQUEST or key in self.extra

    def require(self, base: bool = False) -> None:
        """See to it that everything scoring needs is here, and the base model where asked, before anything runs.

        Raises:
            UserError: Packages or checkpoints are missing; all of them are named.
        """
        problems = [*missing_packages(self.only), *(_no_base(self.base) if base else ()), *_unusable(self.checkpoints)]
        if problems:
            raise UserError(f"{len(problems)} things the paper suite needs are not here", problems=problems)


def missing_packages(only: Sequence[str] = ()) -> Iterator[Problem]:
    """Name the packages that cannot be imported, with the reason; those of some metrics, or of all."""
    for name, used_by in MODULES.items():
        if only and not {*used_by.split(", ")} & {*only}:
            continue
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: a torchvision built for another torch
            why = (str(error).splitlines() or [type(error).__name__])[0]
            yield Problem(name, f"{why} ({used_by})", RUNTIME if name == "onnxruntime" else INSTALL)


def _no_base(asked: str | None) -> Iterator[Problem]:
    try:
        base_path(asked)
    except UserError as error:
        yield Problem("base", error.what, error.fix)


def _unusable(names: tuple[str, ...]) -> Iterator[Problem]:
    try:
        weights.require(names)
    except UserError as error:
        yield from error.problems


def _meaningless(extra: tuple[str, ...], precision: str) -> Iterator[Problem]:
    for key in extra:
        if key not in ON_REQUEST:
            yield Problem(EXTRA, f"no metric on request is called {key!r}", f"known: {', '.join(ON_REQUEST)}")
    if precision not in PRECISIONS:
        yield Problem(PRECISION, f"{precision!r} is not known", f"one of {', '.join(PRECISIONS)}")
