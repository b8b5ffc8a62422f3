"""Single values of JSON from outside: of the type they should be, finite, and printable."""

import math
import unicodedata
from collections.abc import Mapping
from enum import Enum
from typing import Any

from spf_bench.errors import Problem
from spf_bench.files.outside import short

LARGEST = 2**63
DEEPEST = 50
WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def single(hint: Any, value: Any, place: str, faults: list[Problem]) -> Any:
    """Return a text, number, truth value or member of an enumeration; None, with a fault, where it is none."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        known = [one.value for one in hint]
        return hint(value) if value in known else refuse(value, f"{' or '.join(map(str, known))}", place, faults)
    if hint is bool or isinstance(value, bool):
        fits = hint is bool and isinstance(value, bool)
    elif hint is float:
        fits = isinstance(value, float | int) and abs(value) < LARGEST**4 and math.isfinite(value)
    elif hint is int:
        fits = isinstance(value, int) and abs(value) < LARGEST
    else:
        fits = isinstance(value, str) and printable(value)
    return value if fits else refuse(value, WORDS[hint], place, faults)


def anything(value: Any, place: str, faults: list[Problem], depth: int = 0) -> Any:
    """Return plain JSON of any form, its texts and numbers looked at."""
    if depth > DEEPEST:
        return refuse(value, "flat enough value", place, faults)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            single(str, name, place, faults)
            anything(inner, below(place, short(name)), faults, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            anything(inner, place, faults, depth + 1)
    elif value is not None:
        single(type(value), value, place, faults)
    return value


def printable(text: str) -> bool:
    """Say whether a text can be written anywhere: it has no half characters, and nothing that moves a cursor."""
    kinds = ((unicodedata.category(char), char) for char in text)
    return not any(kind == "Cs" or (kind == "Cc" and char not in "\n\t") for kind, char in kinds)


def refuse(value: Any, word: str, place: str, faults: list[Problem]) -> None:
    """Add the fault that a value is not what its place asks for."""
    faults.append(Problem(place or "it", f"{short(value)} is no {word}", ""))


def below(place: str, name: str) -> str:
    """Return the place of a field."""
    return f"{place}.{name}" if place else name
