"""Lines of words with what they say and what they do not go with: ``"text ; tag +needed -never"``.

Two texts contradict each other where one carries a tag the other must never meet, or lacks one it needs, or where both
fill the same slot (two hats, two hair colours). Tags that follow from a word are found by the word (``slots.yaml``),
so that a line cannot forget them. ``{a|b}`` in a text is a choice, ``{his}`` a pronoun of the person.
"""

import random
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SLOTS = frozenset(
    {"action", "beard", "clothes", "earrings", "expression", "eyes", "eyewear", "frame", "gaze", "hair", "headwear"}
    | {"light", "makeup", "neck", "scarf", "skin", "skinmarks", "umbrella"}
)
"""Tags that one text of a caption may carry, never two."""
PRONOUNS = {"woman": {"his": "her", "him": "her"}, "man": {"his": "his", "him": "him"}}

_CHOICE = re.compile(r"\{([^{}|]*(?:\|[^{}|]*)+)\}")
_PRONOUN = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b(a|an) (?=(\w+))", re.IGNORECASE)
_SOUNDS_LIKE_A_CONSONANT = re.compile(r"eu|one\b|uni|uk|us[ae]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """A text of the grammar and its declarations."""

    text: str
    """What it says; choices and pronouns still open until ``spoken``."""
    tags: frozenset[str] = frozenset()
    """What it says or implies."""
    needs: frozenset[str] = frozenset()
    """Tags that must stand beside it."""
    never: frozenset[str] = frozenset()
    """Tags that must not stand beside it."""

    def spoken(self, rng: random.Random, gender: str = "man") -> "Line":
        """Settle the choices with ``rng``, then the pronouns and articles; adds the tags of the chosen words."""
        text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), self.text)
        text = articles(_PRONOUN.sub(lambda match: PRONOUNS[gender][match[1]], text))
        return Line(text, self.tags | implied(text), self.needs, self.never)

    def beside(self, other: "Line") -> "Line":
        """Return both as one: what they say and must not meet together."""
        return Line(
            f"{self.text}, {other.text}", self.tags | other.tags, self.needs | other.needs, self.never | other.never
        )


def parse(line: str, tags: Iterable[str] = (), never: Iterable[str] = ()) -> Line:
    """Read a line of the word files; ``tags`` and ``never`` are its section's."""
    text, _, declared = line.partition(" ; ")
    marks = declared.split()
    return Line(
        text,
        frozenset(tags) | {mark for mark in marks if mark[0] not in "+-"} | implied(text),
        frozenset(mark[1:] for mark in marks if mark[0] == "+"),
        frozenset(never) | {mark[1:] for mark in marks if mark[0] == "-"},
    )


def fits(line: Line, said: Line) -> bool:
    """Say whether ``line`` may stand in one caption with all that is ``said`` already."""
    clashes = line.tags & said.never or line.never & said.tags or line.tags & said.tags & SLOTS
    return not clashes and line.needs <= said.tags


@cache
def implied(text: str) -> frozenset[str]:
    """Return the tags that follow from the words of ``text``; open choices count for none of their words."""
    return frozenset(
        tag for word in re.findall(r"[a-z][a-z-]*", _CHOICE.sub("", text).lower()) for tag in _by_word(word)
    )


def repeats(text: str) -> bool:
    """Say whether a word of five letters or more occurs twice, as in "in a field, by the fields"."""
    found = [word.removesuffix("s") for word in re.findall(r"[a-z]{5,}", text.lower())]
    return len(set(found)) < len(found)


def articles(text: str) -> str:
    """Put ``a`` or ``an`` as the next word asks for."""

    def right(match: re.Match[str]) -> str:
        vowel = match[2][0].lower() in "aeiou" and not _SOUNDS_LIKE_A_CONSONANT.match(match[2])
        return f"{match[1][0]}{'n' if vowel else ''} "

    return _ARTICLE.sub(right, text)


def words(name: str) -> Any:
    """Load a word file of the package."""
    return yaml.safe_load((Path(__file__).parent / "words" / f"{name}.yaml").read_text(encoding="utf-8"))


def section(lines: Collection[str] | None, *tags: str) -> tuple[Line, ...]:
    """Parse the lines of a section, all carrying ``tags``."""
    return tuple(parse(line, tags) for line in lines or ())


def _by_word(word: str) -> tuple[str, ...]:
    table = _slots()
    return tuple(tag for part in {word, *word.split("-")} for tag in table.get(part, ()))


@cache
def _slots() -> Mapping[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for tag, listed in words("slots").items():
        for word in listed.split():
            table[word] = (*table.get(word, ()), tag)
    return table
