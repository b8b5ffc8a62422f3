"""Classes of other packages (entry points) and of single files (``path.py:Class``), loaded or refused with a reason."""

import importlib.util
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from spf_bench.errors import UserError, unknown
from spf_bench.files.outside import existing, short
from spf_bench.files.store import digest

T = TypeVar("T")
OWN = "spf-bench"
GROUPS = ("spf_bench.methods", "spf_bench.metrics")
FAILURES = (Exception, SystemExit)
"""What a module may end in while it is imported; only Ctrl-C goes through."""


def load_all(group: Iterable[EntryPoint], checked: Callable[[Any, str, str], T]) -> tuple[dict[str, T], dict[str, str]]:
    """Load every entry point of a group: what was found by name, and why others could not be loaded.

    Args:
        group: Entry points; of equal names this package's own counts.
        checked: Called with what was loaded, its address and its name; returns it, or raises UserError.
    """
    points, broken = unique(group)
    found: dict[str, T] = {}
    for name, point in points.items():
        try:
            found[name] = checked(point.load(), point.value, name)
        except FAILURES as error:
            broken[name] = reason(error)
    return found, broken


def unique(points: Iterable[EntryPoint]) -> tuple[dict[str, EntryPoint], dict[str, str]]:
    """Return one entry point for each name, and why the others of that name are left out.

    This package's own comes first, so that no other can take its place unnoticed.
    """
    kept: dict[str, EntryPoint] = {}
    left_out: dict[str, str] = {}
    for point in sorted(set(points), key=lambda p: (p.name, package(p) != OWN, p.value)):
        first = kept.setdefault(point.name, point)
        if first.value != point.value:
            left_out[f"{point.name} ({point.value})"] = f"the name is taken by {first.value}"
    return kept, left_out


def package(point: EntryPoint) -> str:
    """Return the name of the package an entry point comes from; empty where it comes from none."""
    return point.dist.name if point.dist is not None else ""


def packages() -> list[str]:
    """Return the names of the other packages that bring methods or metrics: results depend on their versions."""
    points = [point for group in GROUPS for point in entry_points(group=group)]
    return sorted({package(point) for point in points} - {OWN, ""})


def reason(error: BaseException) -> str:
    """Return what went wrong in one line, as a list shows it."""
    if isinstance(error, UserError):
        told = ": ".join(part for part in (error.what, error.why) if part)
        return "; ".join([told, *(f"{problem.subject}: {problem.why}" for problem in error.problems)])
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def is_file(address: str) -> bool:
    """Say whether an address means a class in a file, whether or not its class is named."""
    return address.endswith(".py") or address.rpartition(":")[0].endswith(".py")


def from_file(address: str) -> Any:
    """Return the class that ``path.py:Class`` means.

    Raises:
        UserError: There is no such file or class, no class is named, or the file cannot be imported.
    """
    path, _, name = (f"{address}:" if address.endswith(".py") else address).rpartition(":")
    here = existing(path)
    if here is None or not here.is_file():
        shown = path if path.isprintable() else short(path)
        raise UserError(f"no such file: {shown}", "a class outside a package is given as path.py:Class")
    module = _module(here.resolve())
    own = [key for key, value in vars(module).items() if _defined_in(module, value)]
    if not name:
        first = own[0] if own else "Class"
        raise UserError(f"which class of {path}?", f"it defines {', '.join(own) or 'none'}", f"{path}:{first}")
    if not hasattr(module, name):
        raise unknown(f"class in {Path(path).name}", name, own, f"{path}:Class")
    return getattr(module, name)


def _defined_in(module: Any, value: Any) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


@cache
def _module(path: Path) -> Any:
    name = f"spf_bench_plugin_{digest(str(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # holds for any existing .py file
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # before it runs: dataclasses look there
    try:
        spec.loader.exec_module(module)
    except FAILURES as error:
        del sys.modules[name]
        fix = "one file may import installed packages, not its neighbours" if isinstance(error, ImportError) else ""
        raise UserError(f"{path} cannot be imported", culprit(error, str(path)), fix) from error
    return module


def culprit(error: BaseException, file: str) -> str:
    """Return the reason with the last line of ``file`` it went through, where there is one."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return reason(error) + (f" ({Path(file).name}, line {line})" if line else "")
