"""Settings from outside: a YAML file and `a.b=value` words, laid over a preset."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from spf_train.config import TrainConfig
from spf_train.errors import ConfigError, ConfigErrors, Problem
from spf_train.settings import invalid

NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d+)([eE][-+]?\d+)?|[-+]?\.inf|\.nan")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's reading of two things: `1e-5` is a number, and `no` is a word, not false. Aliases are refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):  # nine lines of them can stand for a billion settings
            why, mark = "settings are written out, not repeated with *", self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, why, mark)
        return super().compose_node(parent, index)


_FLOAT, _BOOL = "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT, _BOOL)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_FLOAT, re.compile(rf"^({NUMBER.pattern})$"), list("-+0123456789."))
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|false|True|False)$"), list("tfTF"))


def resolve(preset: str, file: Path | None = None, words: Sequence[str] = ()) -> TrainConfig:
    """A preset, with the settings of a YAML file laid over it, then those of `a.b=value` words.

    A file may name the preset itself, under `preset`; that one holds.
    Raises ConfigError for a file that cannot be read or an unknown preset, ConfigErrors with all that is wrong
    in the settings.
    """
    given = {} if file is None else read_yaml(file)
    base = TrainConfig.preset(str(given.pop("preset", preset)))
    values, problems = nested(given.items())
    changes, more = nested(_assignments(words, problems))
    try:
        config = base.changed(_over(values, changes))
    except ConfigErrors as errors:
        problems += errors.problems
    if problems := [*problems, *more]:
        raise invalid(problems)
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Raises ConfigError naming the line where it cannot be read."""
    fix = "write one setting a line, `name: value`"
    try:
        found = _loaded(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}", str(error), "check the path") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML", _place(error), fix) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no settings", f"it holds a {type(found).__name__}", fix)
    return found


def _place(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML file, and at which line and column."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else " ".join(str(error).split())


def value_of(text: str) -> Any:
    """What a word stands for: a number, true, false, null, a [list], or itself. Raises ValueError if nothing."""
    try:
        return _loaded(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{reprlib.repr(text)} is no value") from error


def _loaded(text: str) -> Any:
    """What YAML holds. Raises YAMLError for whatever keeps it from being read."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError:
        raise
    except Exception as error:  # PyYAML's constructors have kinds of their own for a date or number that is none
        deep = isinstance(error, RecursionError)
        raise yaml.YAMLError("it is nested too deep" if deep else f"a value in it is none: {error}") from error


def nested(flat: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], list[Problem]]:
    """Settings by dotted name as dicts in dicts, a later one over an earlier; and what does not fit together."""
    tree: dict[str, Any] = {}
    problems: list[Problem] = []
    for path, value in flat:
        *groups, name = str(path).split(".")
        place = tree
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                problems.append(
                    Problem(
                        str(path), f"{group} is set to {reprlib.repr(inner)} as a whole", "leave one of the two out"
                    )
                )
                break
            place = inner
        else:
            place[name] = _over(place.get(name), nested(value.items())[0]) if isinstance(value, dict) else value
    return tree, problems


def _assignments(words: Iterable[str], problems: list[Problem]) -> Iterable[tuple[str, Any]]:
    """Names and values of `a.b=value` words; one that is none of that is added to `problems`."""
    for word in words:
        path, equals, text = word.partition("=")
        try:
            if not path.strip() or not equals:
                raise ValueError("it is not written as name=value")
            yield path.strip(), value_of(text)
        except ValueError as error:
            problems.append(Problem(word, str(error), "e.g. spf.norm=l2"))


def _over(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """`new` laid over `old`, group by group."""
    merged = dict(old) if isinstance(old, dict) else {}
    for name, value in new.items():
        merged[name] = _over(merged.get(name), value) if isinstance(value, dict) else value
    return merged
