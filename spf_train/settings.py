"""Settings dataclasses to and from plain dicts; a wrong name or choice is answered with the right one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from spf_train.errors import ConfigError

T = TypeVar("T")


def to_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain dicts, lists and numbers, ready for JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return list(value) if isinstance(value, tuple) else value

    converted: dict[str, Any] = plain(dataclasses.asdict(settings))
    return converted


def from_dict(kind: type[T], settings: dict[str, Any]) -> T:
    """Builds a settings dataclass from plain values. Raises ConfigError naming the nearest known setting."""
    hints = get_type_hints(kind)
    for name in settings:
        if name not in hints:
            raise unknown(f"setting of {kind.__name__}", name, hints)
    return kind(**{name: _typed(hints[name], value) for name, value in settings.items()})


def _typed(hint: Any, value: Any) -> Any:
    """Turns the dict of a nested dataclass and the list of a tuple back into what they were."""
    if isinstance(value, list):
        return tuple(value)
    nested = next((kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)), None)
    if nested is None or not isinstance(value, dict):
        return value
    return from_dict(cast(type, nested), value)


def check_types(settings: Any) -> None:
    """Raises ConfigError where a value is neither of its field's types nor one of its named choices."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if get_origin(hint) is Literal:
            if value not in get_args(hint):
                reject(settings, name, f"it must be one of {', '.join(map(repr, get_args(hint)))}")
        elif not _is_a(value, hint):
            reject(settings, name, f"it must be of type {getattr(hint, '__name__', hint)}")


def _is_a(value: Any, hint: Any) -> bool:
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = tuple(get_origin(option) or option for option in options)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)


def reject(settings: Any, name: str, why: str) -> None:
    """Raises ConfigError for one field of a settings dataclass."""
    what = f"{type(settings).__name__}.{name}={getattr(settings, name)!r} is not valid"
    raise ConfigError(what, why, f"change {name}")


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest one that does."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return ConfigError(f"unknown {kind}: {name!r}", "there is no such name", fix)
