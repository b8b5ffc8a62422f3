"""JSON from outside as dataclasses: every field of the type it says, or all that is wrong, named by its place."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import short
from spf_bench.files.plain import anything, below, refuse, single
from spf_bench.files.store import read_json

T = TypeVar("T")
SHOWN = 20


def load(kind: type[T], path: Path, schema: int, what: str, fix: str) -> T:
    """Return a dataclass from the JSON file that has its fields, ``schema`` among them.

    Args:
        kind: The dataclass.
        path: The file.
        schema: Version of the layout that can be read.
        what: What the file should be, e.g. ``"a run record"``.
        fix: What mends it.

    Raises:
        UserError: It is no such file, or of another layout; all that is wrong with it is named.
    """
    wrong = f"{path} is not {what}"
    try:
        data = read_json(path, finite=True)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(wrong, (str(error).splitlines() or ["it cannot be read"])[0], fix) from error
    found = data.get("schema", schema) if isinstance(data, Mapping) else schema
    if found != schema:
        raise UserError(f"{path} has layout {short(found)}", f"this version reads {schema}")
    return made(kind, data, wrong, fix)


def made(kind: type[T], data: Any, what: str, fix: str) -> T:
    """Return a dataclass, and those within it, made of plain JSON types.

    Args:
        kind: The dataclass; its ``__post_init__`` may refuse values with ValueError.
        data: What the file holds.
        what: What failed where it does not fit, in one line.
        fix: What mends it.

    Raises:
        UserError: Naming what is missing, unknown, of another type, not finite, or no text that can be printed.
    """
    faults: list[Problem] = []
    found = _read(kind, data, "", faults)
    if faults:
        more = [Problem("...", f"and {len(faults) - SHOWN} more", "")] if len(faults) > SHOWN else []
        raise UserError(what, "", fix, [*faults[:SHOWN], *more])
    return found  # type: ignore[no-any-return]


def _read(hint: Any, value: Any, place: str, faults: list[Problem]) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return anything(value, place, faults)
    if origin in (Union, types.UnionType):
        chosen = [one for one in inner if one is not types.NoneType]
        return None if value is None else _read(chosen[0], value, place, faults)
    if is_dataclass(hint):
        return _object(hint, value, place, faults)
    if origin in (list, tuple):
        return _items(origin, inner, value, place, faults)
    if origin is dict:
        return _mapping(inner[1], value, place, faults)
    return single(hint, value, place, faults)


def _object(kind: Any, value: Any, place: str, faults: list[Problem]) -> Any:
    """Return a dataclass; None where it cannot be one."""
    if not isinstance(value, Mapping):
        return refuse(value, "object", place, faults)
    hints, before = _hints(kind), len(faults)
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    faults += [Problem(below(place, name), "is missing", "") for name in needed if name not in value]
    faults += [Problem(below(place, short(name)), "is no field", "") for name in value if name not in hints]
    given = {n: _read(hints[n], inner, below(place, n), faults) for n, inner in value.items() if n in hints}
    try:
        return kind(**given) if len(faults) == before else None
    except ValueError as error:
        faults.append(Problem(place or "it", str(error), ""))
        return None


def _items(origin: type, inner: tuple[Any, ...], value: Any, place: str, faults: list[Problem]) -> Any:
    if not isinstance(value, list):
        return refuse(value, "list", place, faults)
    fixed = origin is tuple and Ellipsis not in inner
    if fixed and len(value) != len(inner):
        return refuse(value, f"list of {len(inner)}", place, faults)
    hints = inner if fixed else [inner[0]] * len(value)
    return origin(_read(h, one, f"{place}[{i}]", faults) for i, (h, one) in enumerate(zip(hints, value, strict=True)))


def _mapping(inner: Any, value: Any, place: str, faults: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        return refuse(value, "object", place, faults)
    for name in value:
        single(str, name, below(place, short(name)), faults)
    return {name: _read(inner, one, below(place, short(name)), faults) for name, one in value.items()}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
