"""Graded changes of drawn portraits, of which it is known exactly how far each step is from the truth.

The truth of a case is its plain portrait with the target drawn in, and nothing else changed: what a perfect method
would answer. Each ladder goes away from it step by step; ``target`` and ``other target`` go up to it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from spf_bench.triple import Triple
from spf_bench.world import distributions
from spf_bench.world.distributions import BASE_BACKGROUNDS, BASE_CLOTHES, BASE_CLOTHES_COLORS, BASE_HAIR_COLORS
from spf_bench.world.judge import IDENTITY_FIELDS
from spf_bench.world.portrait import ATTRIBUTES, MEN_HAIR, WOMEN_HAIR, Portrait, phrases, render
from spf_bench.world.targets import TARGETS, Target, unrelated

Pixels = NDArray[np.uint8]

SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # pixels of 64
DEVIATIONS = (0, 8, 16, 32, 48, 64)  # grey levels of 255
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
WRONG = 5
CHANGEABLE: dict[str, tuple[str, ...]] = {
    "skin": ATTRIBUTES["skin"],
    "hair_style": (),  # of the subject's own: a woman's hair alone would make another subject
    "hair_color": BASE_HAIR_COLORS,
    "clothes": BASE_CLOTHES,
    "clothes_color": BASE_CLOTHES_COLORS,
    "background": BASE_BACKGROUNDS,
    "expression": ATTRIBUTES["expression"],
    "eyes": ATTRIBUTES["eyes"],
    "framing": ATTRIBUTES["framing"],
}
"""Attributes that can be made wrong without hiding another one, and the values they may get."""


@lru_cache(maxsize=4096)
def drawing(portrait: Portrait) -> Pixels:
    """Return the portrait's pixels [64, 64, 3]; each is drawn once."""
    return render(portrait)


@dataclass(frozen=True)
class Case:
    """One portrait with a target that fits it."""

    triple: Triple
    plain: Portrait
    target: Target

    @property
    def ideal(self) -> Portrait:
        """The portrait with its target and no other change."""
        return self.target.apply(self.plain)


@dataclass(frozen=True)
class Rung:
    """One image of a ladder."""

    truth: float
    """How near it is to the ideal answer; larger is nearer, in the ladder's own unit."""
    image: Pixels
    """RGB [64, 64, 3]."""


Climb = Callable[[Case, random.Random, Sequence[Case]], Iterator[Rung]]


def cases(n: int, seed: int = 21) -> list[Case]:
    """Draw ``n`` portraits whose texts no model was trained on, each with a target that fits; categories in turn."""
    rng = random.Random(f"calibration-{seed}")
    found = []
    for number, sample in enumerate(distributions.plain(n, seed)):
        fitting = [target for target in TARGETS.values() if target.fits(sample.portrait)]
        kinds = sorted({target.category for target in fitting})
        target = rng.choice([t for t in fitting if t.category == kinds[number % len(kinds)]])
        said = phrases(sample.portrait, without=target.contradicts)
        triple = Triple(f"c{number:04}", ", ".join(said), target.phrase, target.category, number, said)
        found.append(Case(triple, sample.portrait, target))
    return found


def wrong_attributes(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """From none to five attributes wrong that the target leaves alone; truth is minus their number."""
    return _wrong(case, rng, [name for name in unrelated(case.target) if name in CHANGEABLE])


def wrong_person(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """From none to all attributes wrong that tell who it is; truth is minus their number."""
    return _wrong(case, rng, [n for n in IDENTITY_FIELDS if n in CHANGEABLE and n in unrelated(case.target)])


def blurred(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """The ideal answer under a Gaussian blur; truth is minus its width in pixels."""
    picture = Image.fromarray(drawing(case.ideal))
    for sigma in SIGMAS:
        yield Rung(-sigma, np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma))))


def noisy(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """The ideal answer under white noise; truth is minus its deviation in grey levels."""
    picture = drawing(case.ideal).astype(np.float64)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(picture.shape)
    for deviation in DEVIATIONS:
        yield Rung(-deviation, _pixels(picture + deviation * noise))


def blended(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """The ideal answer mixed with another portrait; truth is minus the other's share."""
    other = drawing(rng.choice([one for one in others if one is not case]).plain)
    for share in SHARES:
        yield Rung(-share, _mixed(drawing(case.ideal), other, share))


def target_strength(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """From the plain portrait to the ideal answer; truth is the share of the latter."""
    for share in SHARES:
        yield Rung(share, _mixed(drawing(case.plain), drawing(case.ideal), share))


def other_target(case: Case, rng: random.Random, others: Sequence[Case]) -> Iterator[Rung]:
    """The plain portrait and two with targets nobody asked for, truth 0; the ideal answer, truth 1."""
    unlike = [t for t in TARGETS.values() if t.fits(case.plain) and not set(t.sets) & set(case.target.sets)]
    for portrait in (case.plain, *(target.apply(case.plain) for target in rng.sample(unlike, 2))):
        yield Rung(0.0, drawing(portrait))
    yield Rung(1.0, drawing(case.ideal))


LADDERS: dict[str, Climb] = {
    "wrong attributes": wrong_attributes,
    "wrong person": wrong_person,
    "another portrait": blended,
    "blur": blurred,
    "noise": noisy,
    "target": target_strength,
    "other target": other_target,
}
"""Every ladder by its name in the table."""


def _wrong(case: Case, rng: random.Random, names: list[str]) -> Iterator[Rung]:
    portrait = case.ideal
    yield Rung(0.0, drawing(portrait))
    for count, name in enumerate(rng.sample(names, min(WRONG, len(names))), start=1):
        known = MEN_HAIR if case.plain.subject == "man" else WOMEN_HAIR
        values = CHANGEABLE[name] or known
        portrait = portrait.with_(**{name: rng.choice([v for v in values if v != getattr(portrait, name)])})
        yield Rung(-count, drawing(portrait))


def _mixed(one: Pixels, other: Pixels, share: float) -> Pixels:
    return _pixels((1 - share) * one.astype(np.float64) + share * other)


def _pixels(values: NDArray[np.float64]) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)
