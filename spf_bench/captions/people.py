"""Who is portrayed: gender, age and skin tone in equal numbers, and the words for them."""

import random
from dataclasses import dataclass
from itertools import product, zip_longest

from spf_bench.captions.lexicon import Line, implied

GENDERS = ("woman", "man")
AGES: dict[str, dict[str, tuple[str, ...]]] = {
    "child": {"woman": ("a little girl", "a girl", "a young girl", "a ten-year-old girl"),
              "man": ("a little boy", "a boy", "a young boy", "an eight-year-old boy")},
    "young": {"woman": ("a young woman", "a woman in her twenties"), "man": ("a young man", "a man in his twenties")},
    "adult": {"woman": ("a woman", "a woman in her thirties", "a woman in her forties"),
              "man": ("a man", "a man in his thirties", "a man in his forties")},
    "middle": {"woman": ("a middle-aged woman", "a woman in her fifties"),
               "man": ("a middle-aged man", "a man in his fifties")},
    "older": {"woman": ("an elderly woman", "an old woman", "an older woman", "a woman in her seventies"),
              "man": ("an elderly man", "an old man", "an older man", "a man in his seventies")},
}  # fmt: skip
"""Ages and how each is put, by gender."""
SKINS = {
    "fair": "fair skin",
    "olive": "olive skin",
    "tan": "tan skin",
    "lightbrown": "light brown skin",
    "brown": "brown skin",
    "dark": "dark skin",
}
"""Stated skin tones, from light to dark."""
STATED = 0.48
"""Share of the base texts that state a skin tone: 40 of the 500 of each gender and age for every tone in 5,000."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a base text is about."""

    gender: str
    """A key of ``GENDERS``."""
    age: str
    """A key of ``AGES``."""
    skin: str | None
    """A key of ``SKINS``, or None where the text leaves it open."""

    @property
    def tags(self) -> frozenset[str]:
        """What the choice of this person says already."""
        told = implied(SKINS[self.skin]) | {self.skin} if self.skin else frozenset[str]()
        return told | {self.gender, self.age}


def deck(n: int, rng: random.Random) -> list[Person]:
    """Return ``n`` people: every gender and age, and every stated tone of each, as often as any other.

    Counts differ by one at most where ``n`` does not divide evenly. Every ten in a row, in random order, are one of
    each gender and age, so that any prefix is balanced too.
    """
    cells = list(product(GENDERS, AGES))
    groups = []
    for i, (gender, age) in enumerate(cells):
        size = n // len(cells) + (i < n % len(cells))
        stated = round(size * STATED)
        tones = list(SKINS)[i % len(SKINS) :] + list(SKINS)[: i % len(SKINS)]  # the odd ones out differ by cell
        group = [Person(gender, age, tones[j % len(tones)] if j < stated else None) for j in range(size)]
        groups.append(rng.sample(group, size))
    rounds = [[person for person in row if person] for row in zip_longest(*groups)]
    return [person for row in rounds for person in rng.sample(row, len(row))]


def subject(person: Person, hair: Line | None, rng: random.Random) -> str:
    """Name the person, with the stated skin tone and ``hair`` or beard where there is any."""
    noun = rng.choice(AGES[person.age][person.gender])
    traits = [SKINS[person.skin]] if person.skin else []
    traits += [hair.text] if hair else []
    return f"{noun} with {' and '.join(traits)}" if traits else noun
