"""How methods are found: entry points of the group ``spf_bench.methods``, or ``path.py:Class``."""

import re
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from spf_bench.errors import UserError, unknown
from spf_bench.method.contract import Method
from spf_bench.plugins import FAILURES, from_file, is_file, load_all, reason, unique

GROUP = "spf_bench.methods"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # it becomes the start of folder names


@dataclass(frozen=True)
class Listing:
    """Which methods were found, and which could not be loaded."""

    methods: dict[str, type[Method]] = field(default_factory=dict)
    """Classes by method name."""
    broken: dict[str, str] = field(default_factory=dict)
    """Why a plug-in could not be loaded, by its entry point's name."""


def discover() -> Listing:
    """Load every installed method; a broken one is listed with its reason and stops nobody else."""
    return Listing(*load_all(entry_points(group=GROUP), checked))


def get_method(address: str) -> Method:
    """Return the method of this name, or the one in ``path.py:Class``.

    Raises:
        UserError: Nobody knows it, or it cannot be loaded.
    """
    if is_file(address):
        return _made(checked(from_file(address), address), address)
    points, _ = unique(entry_points(group=GROUP))
    if address not in points:
        raise unknown("method", address, points, "spf-bench list methods")
    where = points[address].value
    try:
        return _made(checked(points[address].load(), where, address), where)
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(f"method {address!r} cannot be loaded", reason(error), f"mend {where}") from error


def checked(found: Any, where: str, called: str | None = None) -> type[Method]:
    """Return ``found`` if it is a whole method class, called so where a name is given.

    Raises:
        UserError: Saying what is missing.
    """
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"{where} is not a method", fix="derive the class from spf_bench.method.Method")
    missing = [name for name in ("name", "title", "source") if not getattr(found, name, None)]
    missing += sorted(f"{name}()" for name in getattr(found, "__abstractmethods__", ()))
    if missing:
        raise UserError(f"{where} is not whole", f"it has no {', '.join(missing)}", "define them on the class")
    if not NAME.fullmatch(str(found.name)):
        why = f"{found.name!r} cannot start a folder's name"
        raise UserError(f"{where} has no fit name", why, "letters, digits, _, - and . alone, a letter or digit first")
    if called not in (None, found.name):
        why = f"its entry point is {called!r}, its class {found.name!r}"
        raise UserError(f"{where} has two names", why, "call both alike")
    return found


def _made(found: type[Method], where: str) -> Method:
    try:
        return found()
    except TypeError as error:
        raise UserError(f"{where} cannot be made", reason(error), "its __init__ must work without arguments") from error
