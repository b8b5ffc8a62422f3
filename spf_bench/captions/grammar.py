"""Base texts: a person, what they do and where, and some of hair, clothing, mood, light and framing."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from spf_bench.captions.lexicon import Line, fits, parse, section, words
from spf_bench.captions.people import Person, subject

EXTRAS = {"clothes": 6.0, "light": 6.0, "hair": 4.0, "mood": 2.5, "frame": 3.0, "lead": 2.0}
"""Optional parts of a base text and how often each is asked for, relative to the others."""
HOW_MANY = {0: 1, 1: 5, 2: 8, 3: 5, 4: 1}
"""Number of optional parts and its relative frequency."""
DRESSED_FIRST = 0.4
"""Share of base texts that name the clothes before the action."""
MERGED = 0.25
"""Share of plain subjects that are put before their action without a comma: "A woman washing the dishes"."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A setting with what fits it."""

    name: str
    about: Line
    """Its tags, and those that never stand beside it."""
    parts: dict[str, tuple[Line, ...]]
    """Actions, places, clothes and light that fit it."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A base text in phrases, and the setting it came from."""

    phrases: tuple[str, ...]
    setting: str

    @property
    def text(self) -> str:
        """The base text."""
        return ", ".join(self.phrases)


@cache
def scenes() -> tuple[Scene, ...]:
    """Return every setting of the grammar."""
    wardrobe, lights = words("wardrobe"), words("light")
    found = []
    for name, entry in words("scenes").items():
        about = Line("", frozenset(entry["tags"].split()), never=frozenset(entry.get("never", "").split()))
        parts = {
            "action": section(entry["does"], "action"),
            "place": section(entry["places"]),
            "clothes": section([line for style in entry["wears"].split() for line in wardrobe[style]], "clothes"),
            "light": section([line for kind in entry["lights"].split() for line in lights[kind]], "light"),
        }
        found.append(Scene(name, about, parts))
    return tuple(found)


@cache
def looks() -> dict[str, tuple[Line, ...]]:
    """Return the parts that fit any setting: hair, beard, mood, frame, lead."""
    slots = {"hair": ("hair",), "beard": ("beard",), "frame": ("frame",), "lead": ("frame",)}
    return {part: section(lines, *slots.get(part, ())) for part, lines in words("looks").items()}


def compose(person: Person, target: Line, rng: random.Random) -> Caption | None:
    """Return a base text about ``person`` that ``target`` does not contradict; None where this draw found none."""
    said = target.beside(Line("", person.tags))
    scene = rng.choice(scenes())
    if not fits(scene.about, said):
        return None
    said = said.beside(scene.about)
    parts: dict[str, Line] = {}
    for name in ["action", "place", *_wanted(rng)]:
        lines = scene.parts[name] if name in scene.parts else _trait(name, rng)
        line = _pick(lines, said, person, rng)
        if line is not None:
            parts[name] = line
            said = said.beside(line)
        elif name in ("action", "place"):
            return None
    return Caption(tuple(_phrases(person, parts, rng)), scene.name)


def _wanted(rng: random.Random) -> list[str]:
    left = dict(EXTRAS)
    names = []
    for _ in range(*rng.choices(list(HOW_MANY), list(HOW_MANY.values()))):
        names += rng.choices(list(left), list(left.values()))
        del left[names[-1]]
    return names


def _trait(name: str, rng: random.Random) -> tuple[Line, ...]:
    return looks()["beard" if name == "hair" and rng.random() < 0.2 else name]


def _pick(lines: Sequence[Line], said: Line, person: Person, rng: random.Random) -> Line | None:
    """Choose among the lines that fit; a choice of words that does not is dropped."""
    fitting = [line for line in lines if fits(line, said)]
    while fitting:
        line = fitting.pop(rng.randrange(len(fitting))).spoken(rng, person.gender)
        if fits(line, said):
            return line
    return None


def _phrases(person: Person, parts: dict[str, Line], rng: random.Random) -> list[str]:
    """Put the parts in an order a person would: who, what and where, then dress, mood, light and framing."""
    told = {name: line.text for name, line in parts.items()}
    who = subject(person, parts.get("hair"), rng)
    phrases = _doing(parts["action"], parts["place"])
    rest = [told[name] for name in ("clothes", "mood", "light", "frame") if name in told]
    if rest and " with " not in who and rng.random() < MERGED:
        who = f"{who} {phrases.pop(0)}"
    elif "clothes" in told and rng.random() < DRESSED_FIRST:
        phrases.insert(0, rest.pop(0))
    who = f"{told['lead']} {who}" if "lead" in told else who
    return [who[0].upper() + who[1:], *phrases, *rest]


def _doing(action: Line, place: Line) -> list[str]:
    if "@" in action.tags:
        return [action.text]
    backdrop = place.text.startswith(("with ", "against "))
    return [action.text, place.text] if backdrop else [f"{action.text} {place.text}"]


@cache
def targets() -> dict[str, tuple[Line, ...]]:
    """Return the target texts by category, in their order in the file."""
    return {
        category: tuple(
            parse(line, group.get("tags", "").split(), group["never"].split())
            for group in groups
            for line in group["targets"]
        )
        for category, groups in words("targets").items()
    }
