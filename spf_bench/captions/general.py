"""Captions and targets beyond portraits (the extension of the paper's Fig. 17): animals, objects and scenes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from spf_bench.captions.grammar import Caption
from spf_bench.captions.lexicon import Line, fits, section, words

DOMAINS = ("animal", "object", "scene")
"""What a text of the general set is about."""
HOW_MANY = {0: 3, 1: 5, 2: 2}
"""Number of optional parts (light, framing, lead) and its relative frequency."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of subject with what it does or where it stands, and its light."""

    name: str
    who: tuple[Line, ...]
    does: tuple[Line, ...]
    lights: tuple[Line, ...]


@cache
def settings(domain: str) -> tuple[Setting, ...]:
    """Return the settings of a domain."""
    place = ("place",) if domain == "scene" else ()
    return tuple(
        Setting(
            name,
            section(entry["who"], *entry.get("tags", "").split(), *place),
            section(entry["does"], "action"),
            section(words("light")[entry["lights"]], "light"),
        )
        for name, entry in words("general")[domain]["settings"].items()
    )


@cache
def targets(domain: str) -> dict[str, tuple[Line, ...]]:
    """Return the target texts of a domain by category; a domain does not have every category."""
    return {category: section(lines) for category, lines in words("general")[domain]["targets"].items()}


@cache
def _frames(part: str) -> tuple[Line, ...]:
    return section(words("general")[part], "frame")


def compose(domain: str, target: Line, rng: random.Random) -> Caption | None:
    """Return a base text that ``target`` does not contradict; None where this draw found none."""
    setting = rng.choice(settings(domain))
    said = target
    parts: dict[str, Line] = {}
    wanted = rng.sample(["light", "frames", "leads"], *rng.choices(list(HOW_MANY), list(HOW_MANY.values())))
    lines = {"who": setting.who, "does": setting.does, "light": setting.lights}
    for name in ["who", "does", *wanted]:
        line = _pick(lines.get(name) or _frames(name), said, rng)
        if line is not None:
            parts[name] = line
            said = said.beside(line)
        elif name in ("who", "does"):
            return None
    phrases = _phrases(domain, parts)
    return Caption(phrases, setting.name) if len(phrases) > 1 else None


def _pick(lines: Sequence[Line], said: Line, rng: random.Random) -> Line | None:
    fitting = [line for line in lines if fits(line, said) and "{him}" not in line.text]
    if not fitting:
        return None
    line = rng.choice(fitting).spoken(rng)
    return line if fits(line, said) else None


def _phrases(domain: str, parts: dict[str, Line]) -> tuple[str, ...]:
    who, does = parts["who"].text, parts["does"].text
    if "leads" in parts:
        who = f"{parts['leads'].text} {who}"
    first = [who, does] if domain == "animal" else [f"{who} {does}"]
    phrases = [*first, *(parts[name].text for name in ("light", "frames") if name in parts)]
    return (phrases[0][0].upper() + phrases[0][1:], *phrases[1:])
