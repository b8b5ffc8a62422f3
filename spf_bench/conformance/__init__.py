"""The conformance test of methods and metrics: does one keep its contract, and if not, what mends it?"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.conformance.check import Result
from spf_bench.errors import UserError, unknown
from spf_bench.plugins import from_file, is_file
from spf_bench.progress import Progress, Silent
from spf_bench.suite import Suite

if TYPE_CHECKING:
    from spf_bench.metrics.plugins import AnyMetric


@dataclass(frozen=True)
class Tested:
    """What is tested, and the results as they come."""

    title: str
    """What it is and what it is called."""
    results: Iterator[Result]
    """One for each promise, in order."""


def conform(
    address: str,
    suite: Suite,
    folder: Path,
    changes: Sequence[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Tested:
    """Test a method or a metric, given by its name or as ``path.py:Class``.

    Args:
        address: What is tested; of a name that both have, the method.
        suite: The model, images and texts it is tested on.
        folder: An empty one, for what a method trains and keeps.
        changes: Settings of the method, each as ``name=value``.
        device: Where networks run, as torch names it.
        progress: Where to show how far training is.

    Raises:
        UserError: Nobody knows it, it cannot be loaded, or it has no such settings.
    """
    metric = _metric(address)
    if metric is None:
        return _of_method(address, suite, folder, changes, device, progress or Silent())
    if changes:
        raise UserError(f"{metric.key} has no settings to change", "it is a metric", "leave --set out")
    return _of_metric(metric, suite, device)


def _of_method(
    address: str, suite: Suite, folder: Path, changes: Sequence[str], device: str, progress: Progress
) -> Tested:
    from spf_bench.conformance import check, methods
    from spf_bench.conformance.trial import Trial
    from spf_bench.method import Method, get_method

    def make() -> Method:
        method = get_method(address)
        return method.with_changes([*method.check_with, *changes])

    method = make()
    trial = Trial(address, make, suite, folder, device, progress)
    return Tested(f"method {method.name}", check.run(methods.CHECKS, trial, str(method.file())))


def _of_metric(kind: "type[AnyMetric]", suite: Suite, device: str) -> Tested:
    from spf_bench.conformance import check, metrics
    from spf_bench.conformance.subject import Subject
    from spf_bench.metrics.plugins import Tools, encoders_of

    own = suite.metrics(device)
    own_kind = kind.__module__.startswith("spf_bench.")  # a class of this package may be another suite's
    known = {metric.key: metric for metric in own if own_kind}
    if own_kind and kind.key not in known:
        why = f"it has {', '.join(metric.key for metric in own)}"
        raise UserError(f"the suite {suite.name!r} does not measure {kind.key}", why, "choose another --suite")

    def make() -> "AnyMetric":
        return known[kind.key] if own_kind else kind.create(Tools(suite.name, device, encoders_of(own)))

    return Tested(f"metric {kind.key}", check.run(metrics.CHECKS, Subject(make, suite), inspect.getfile(kind)))


def _metric(address: str) -> "type[Any] | None":
    """Return the metric class that an address means; None where it means a method."""
    from spf_bench.method import discover
    from spf_bench.metrics import plugins
    from spf_bench.metrics.base import Facts
    from spf_bench.metrics.catalogue import catalogue

    if is_file(address):
        found = from_file(address)
        return plugins.checked(found, address) if isinstance(found, type) and issubclass(found, Facts) else None
    methods = discover()
    if address in methods.methods or address in methods.broken:
        return None
    metrics = {metric.key: metric for metric in catalogue()}
    if address in metrics:
        return metrics[address]
    if address in (broken := plugins.discover().broken):
        raise UserError(f"metric {address!r} cannot be loaded", broken[address], "mend or uninstall the plug-in")
    raise unknown("method or metric", address, [*methods.methods, *metrics], "spf-bench list methods, or list metrics")
