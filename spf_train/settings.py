"""Settings dataclasses to and from plain dicts; every wrong name and value is reported at once, with the right one."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import reprlib
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from spf_train.errors import ConfigError, ConfigErrors, Problem

T = TypeVar("T")
SHOWN = 60
"""Characters of a text that a message repeats."""
LARGEST = sys.float_info.max
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "null"}


def to_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain dicts, lists and numbers, ready for JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, tuple) else value

    converted: dict[str, Any] = plain(dataclasses.asdict(settings))
    return converted


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Builds a settings dataclass from plain values; what is missing keeps its default.

    Raises ConfigErrors with every unknown name, wrong type and value out of range, at any depth.
    """
    return _build(kind, values, "", dict(leaves(kind)))


def leaves(kind: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting below a settings dataclass: its dotted path and its type."""
    for name, hint in get_type_hints(kind).items():
        if (nested := _nested(hint)) is None:
            yield path + name, hint
        else:
            yield from leaves(nested, f"{path}{name}.")


def check(settings: Any) -> None:
    """What `__post_init__` of a settings dataclass calls: its types, then its own `rules`, all of them.

    `rules` yields (field, why) for every field out of range. Raises ConfigErrors.
    """
    if problems := _problems(settings):
        raise invalid(problems)


def invalid(problems: Sequence[Problem]) -> ConfigErrors:
    """The error for settings that cannot be used."""
    return ConfigErrors("a setting is not valid" if len(problems) == 1 else "settings are not valid", problems)


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest one that does."""
    return ConfigError(f"unknown {kind}: {name!r}", "there is no such name", _suggest(name, list(known)))


def _build(kind: type[T], values: dict[str, Any], path: str, known: Collection[str]) -> T:
    """`from_dict` of the settings at `path`, among all the `known` ones."""
    hints = get_type_hints(kind)
    problems: list[Problem] = []
    built: dict[str, Any] = {}
    doubtful: set[str] = set()  # fields that were meant to be given: what follows from their absence is not said
    for name, value in values.items():
        if name not in hints:
            problems.append(_unknown_setting(path, str(name), list(hints), known))
            doubtful.update(difflib.get_close_matches(str(name), list(hints), n=1))
            continue
        nested = _nested(hints[name])
        try:
            if nested is not None and isinstance(value, dict):
                built[name] = _build(nested, value, f"{path}{name}.", known)
            else:
                built[name] = _typed(value, hints[name])
        except ConfigErrors as errors:
            problems += errors.problems
            doubtful.add(name)
    try:
        made = kind(**built)
    except ConfigErrors as errors:
        told = [p for p in errors.problems if p.subject.split(" ")[0].split(".")[0] not in doubtful]
        problems += [Problem(path + p.subject, p.why, p.fix) for p in told]
    if problems:
        raise invalid(problems)
    return made


def _problems(settings: Any) -> list[Problem]:
    """What is wrong with the types and, where those are right, with the values."""
    wrong: dict[str, Problem] = {}
    sound = copy.copy(settings)
    defaults = {field.name: _default(field) for field in dataclasses.fields(settings)}
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not _fits(value, hint):
            wrong[name] = Problem(f"{name} = {_shown(value)}", f"it must be {_words(hint)}")
            object.__setattr__(sound, name, defaults[name])  # so that the rules can be asked about the others
    rules = [(path, why) for path, why in sound.rules() if path.split(".")[0] not in wrong]
    return [*wrong.values(), *(Problem(f"{path} = {_shown(_value_at(sound, path))}", why) for path, why in rules)]


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if not isinstance(value, tuple) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            return False
        return all(_fits(item, inner[0] if inner[-1] is Ellipsis else inner[i]) for i, item in enumerate(value))
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and abs(value) <= LARGEST
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    """A type the way a message names it."""
    if isinstance(hint, UnionType):
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return f"a list, each item {_words(inner[0])}" if inner[-1] is Ellipsis else f"a list of {len(inner)}"
    return WORDS.get(hint, "a group of settings")


def _nested(hint: Any) -> Any:
    return next((kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)), None)


def _typed(value: Any, hint: Any) -> Any:
    """A plain value as its field holds it: lists are tuples, and 2 is 2.0 where any number may stand."""
    if isinstance(value, list):
        inner = next((get_args(kind) for kind in (hint, *get_args(hint)) if get_origin(kind) is tuple), (None,))
        return tuple(_typed(item, inner[0]) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and float in (hint, *get_args(hint)):
        return float(value) if abs(value) <= LARGEST else value
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _value_at(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def _shown(value: Any) -> str:
    """A value as one would write it on the command line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if dataclasses.is_dataclass(value):
        return "..."
    return value if isinstance(value, str) and len(value) <= SHOWN else reprlib.repr(value)


def _unknown_setting(path: str, name: str, siblings: list[str], known: Collection[str]) -> Problem:
    """Looks for the nearest name beside the wrong one, then for the same name in another group."""
    if not difflib.get_close_matches(name, siblings, n=1):
        for elsewhere in known:
            if elsewhere.split(".")[-1] == name:
                return Problem(path + name, "unknown setting", f"did you mean {elsewhere!r}?")
    return Problem(path + name, "unknown setting", _suggest(name, siblings, path))


def _suggest(name: str, known: list[str], path: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {path + near[0]!r}?" if near else f"known: {', '.join(known)}"
