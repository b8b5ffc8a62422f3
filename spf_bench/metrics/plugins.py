"""Metrics of other packages: entry points of the group ``spf_bench.metrics``, each naming a class.

A plug-in that cannot be loaded, does not fit beside the suite's metrics, or fails while it measures, is left out
with its reason; the other metrics never notice.
"""

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from spf_bench.errors import UserError, unknown
from spf_bench.files.store import code_sha256
from spf_bench.metrics.base import Facts, Group, Metric, SetMetric
from spf_bench.metrics.features import Encoder
from spf_bench.metrics.guard import guarded
from spf_bench.plugins import FAILURES, load_all, reason

GROUP = "spf_bench.metrics"
FACTS = tuple(name for name in Facts.__annotations__ if name != "encoders")
AnyMetric = Metric | SetMetric


@dataclass(frozen=True)
class Tools:
    """What a suite lends to the metrics of plug-ins."""

    suite: str
    """Name of the suite."""
    device: str
    """Where networks run, as torch names it."""
    encoders: Mapping[str, Encoder]
    """The networks of the suite's own metrics, by name: looking through one of them costs nothing more."""

    def encoder(self, name: str) -> Encoder:
        """Return one of the suite's networks; raises UserError where it has none of that name."""
        if name not in self.encoders:
            raise unknown(f"network of the suite {self.suite!r}", name, self.encoders, "spf-bench list metrics")
        return self.encoders[name]


@dataclass(frozen=True)
class Listing:
    """Which metrics of plug-ins were found, and which could not be loaded."""

    metrics: dict[str, type[AnyMetric]] = field(default_factory=dict)
    """Classes by the name of their column."""
    broken: dict[str, str] = field(default_factory=dict)
    """Why a plug-in could not be loaded, by its entry point's name."""


def discover() -> Listing:
    """Load the class of every installed plug-in; a broken one is listed with its reason."""
    return Listing(*load_all(entry_points(group=GROUP), checked))


def checked(found: Any, where: str, called: str | None = None) -> type[AnyMetric]:
    """Return ``found`` if it is a whole metric class, its column called so where a name is given.

    Raises:
        UserError: Saying what is missing.
    """
    if not (inspect.isclass(found) and issubclass(found, AnyMetric)):
        raise UserError(f"{where} is not a metric", fix="derive the class from spf_bench.metrics.base.Metric")
    missing = [name for name in FACTS if not hasattr(found, name)]
    missing += sorted(f"{name}()" for name in found.__abstractmethods__)
    if missing:
        raise UserError(f"{where} is not whole", f"it has no {', '.join(missing)}", "define them on the class")
    if not isinstance(found.group, Group):
        raise UserError(f"{where} stands with no other metrics", f"its group is {found.group!r}", "use Group")
    if called not in (None, found.key):
        why = f"its entry point is {called!r}, its key {found.key!r}"
        raise UserError(f"{where} has two names", why, "call both alike")
    return found


def join(suite: str, device: str, own: Sequence[AnyMetric], only: Sequence[str] = ()) -> list[AnyMetric]:
    """Return a suite's own metrics, with each plug-in's after the last one of its group.

    Of plug-ins those of the keys ``only``, or all. Warns of every one that is left out, with the reason.
    """
    found = discover()
    left_out = dict(found.broken)
    joined = list(own)
    for name, kind in found.metrics.items():
        if only and name not in only:
            continue
        try:
            metric = kind.create(Tools(suite, device, encoders_of(own)))
            _fits(metric, joined)
        except FAILURES as error:
            left_out[name] = reason(error)
            continue
        groups = list(Group)
        place = sum(groups.index(other.group) <= groups.index(metric.group) for other in joined)
        joined.insert(place, guarded(metric))
    for name, why in left_out.items():
        warnings.warn(f"the metric {name!r} is left out: {why}", stacklevel=2)
    return joined


def encoders_of(metrics: Sequence[AnyMetric]) -> dict[str, Encoder]:
    """Return the networks of some metrics by name."""
    return {encoder.name: encoder for metric in metrics for encoder in metric.encoders}


def fingerprint() -> list[tuple[str, str]]:
    """Return what the scores of plug-ins depend on besides the images: each one's name and code."""
    return [(name, code_sha256(Path(inspect.getfile(kind)))) for name, kind in discover().metrics.items()]


def lacking(keys: Iterable[str]) -> set[str]:
    """Return the metrics of plug-ins that are not among ``keys``, as where one's weights came after the run.

    Those of the target do not count: a track without targets has no such column.
    """
    return {key for key, kind in discover().metrics.items() if not kind.of_target} - set(keys)


def _fits(metric: AnyMetric, others: Sequence[AnyMetric]) -> None:
    """Refuse a metric whose columns or networks would be taken for another's."""
    taken = {column for other in others for column in columns(other)}
    if clashes := [column for column in columns(metric) if column in taken]:
        raise UserError("its columns have names of others", ", ".join(clashes), "choose other keys")
    known = encoders_of(others)
    for encoder in metric.encoders:
        if known.get(encoder.name, encoder).digest != encoder.digest:
            raise UserError("its network has the name of another", encoder.name, "choose another name")


def columns(metric: Facts | type[Facts]) -> Iterator[str]:
    """Yield the columns that a metric writes, its headline first."""
    yield metric.key
    yield from getattr(metric, "secondary", ())
