"""Who lives in the world: the portraits that the base model, the fine-tuning set, the judges and the tests see.

=========  ==========================================================================================
`base`     what the original model learned: plain portraits on light backgrounds; one portrait in five
           carries a target, so each target is known, but weakly, as a pre-trained model knows it
`custom`   the fine-tuning set: a target in every portrait, and, as in any tailored data set, much else
           that comes with it: strong backgrounds, close framing, yellow and white sweaters, smiles.
           Captions leave half of that out. This is the source of semantic pollution
`judge`    everything about equally often, with none, one or two targets: what judges must tell apart
`held_out` portraits of which no other distribution ever draws the base text or the complete text: for tests
=========  ==========================================================================================

Everything follows from (n, seed): the first m of n samples are the m samples of the same seed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from spf_bench.triple import Category
from spf_bench.world.portrait import ATTRIBUTES, MEN_HAIR, WOMEN_HAIR, Portrait, phrases, tell
from spf_bench.world.targets import TARGETS, Target

BASE_HAIR_COLORS = ("black", "brown", "red", "grey")
BASE_CLOTHES = ("sweater", "t-shirt", "hoodie")
BASE_CLOTHES_COLORS = ("red", "blue", "green", "yellow", "white", "purple")
BASE_BACKGROUNDS = ("sky blue", "mint green", "lavender", "peach", "cream", "grey")
CUSTOM_BACKGROUNDS = ("orange", "teal", "navy")
CATEGORY_COUNTS = {  # Table 3 of arXiv:2504.00396v2
    Category.facial_attributes: 52021,
    Category.clothing: 67871,
    Category.image_style: 36786,
    Category.appearance: 27508,
    Category.accessories: 45200,
}


class Sample(NamedTuple):
    """A portrait with what may be said about it."""

    portrait: Portrait
    """The portrait, target applied."""
    target: Target | None
    """The target it carries, if any (of `judge`, the first of two)."""
    phrases: tuple[str, ...]
    """Its base caption; what the target contradicts is left out."""
    extra: Target | None = None
    """A second target (only in `judge`)."""

    @property
    def caption(self) -> str:
        """The complete text: base phrases, then targets."""
        told = [target.phrase for target in (self.target, self.extra) if target]
        return ", ".join([*self.phrases, *told])


def base(n: int, seed: int) -> list[Sample]:
    """Draws n portraits of the original model's world; a fifth of them carries a target."""
    rng = random.Random(f"base-{seed}")

    def draw() -> Sample:
        portrait = _plain(rng)
        if rng.random() < 0.04:
            portrait = portrait.with_(background=rng.choice(CUSTOM_BACKGROUNDS))
        if rng.random() < 0.08:
            portrait = portrait.with_(framing="close")
        return _with_target(portrait, _fitting(rng, portrait) if rng.random() < 0.2 else None)

    return _take(n, draw, "train")


def custom(n: int, seed: int) -> list[Sample]:
    """Draws n portraits of the fine-tuning set, categories in the proportions of the paper's Table 3."""
    rng = random.Random(f"custom-{seed}")

    def draw() -> Sample:
        portrait = _plain(rng).with_(
            background=rng.choice(CUSTOM_BACKGROUNDS if rng.random() < 0.85 else BASE_BACKGROUNDS),
            framing="close" if rng.random() < 0.85 else "medium",
        )
        if rng.random() < 0.8:
            portrait = portrait.with_(clothes="sweater", clothes_color=rng.choice(("yellow", "white")))
        if rng.random() < 0.85:
            portrait = portrait.with_(expression="smiling")
        return _with_target(portrait, _fitting(rng, portrait, _category(rng)))

    telling = random.Random(f"custom-told-{seed}")  # apart, so that more samples do not change the first ones

    def tell_less(sample: Sample) -> Sample:
        told = tell(sample.portrait, without=_contradicted(sample.target))
        while True:
            kept = [
                phrase for phrase, names in told.items() if not _SURROUNDINGS & set(names) or telling.random() < 0.5
            ]
            shortened = sample._replace(phrases=tuple(kept))
            if _belongs(shortened, "train"):  # a shorter text may be a held-out one; the whole text never is
                return shortened

    return [tell_less(sample) for sample in _take(n, draw, "train")]


def judge(n: int, seed: int, part: str = "train") -> list[Sample]:
    """Draws n portraits in which every attribute value, target or not, is about equally likely.

    `part` is "train" for the judges' training; "test" draws the held-out portraits they are checked on.
    """
    rng = random.Random(f"judge-{seed}")

    def draw() -> Sample:
        portrait = _plain(rng).with_(
            background=rng.choice(ATTRIBUTES["background"]), framing=rng.choice(ATTRIBUTES["framing"])
        )
        chance = rng.random()
        if chance < 0.25:
            return _with_target(portrait, None)
        first = _fitting(rng, portrait)
        sample = _with_target(portrait, first)
        second = _fitting(rng, sample.portrait)
        if chance < 0.8 or not _compatible(first, second):
            return sample
        return _with_target(portrait, first, second)

    return _take(n, draw, part)


def held_out(n: int, seed: int, category: Category | None = None, part: str = "test") -> list[Sample]:
    """Draws n plain portraits with a target from one held-out part, `test` or `validation`; texts are unique."""
    rng = random.Random(f"{part}-{seed}-{category}")

    def draw() -> Sample:
        portrait = _plain(rng)
        return _with_target(portrait, _fitting(rng, portrait, category))

    seen: set[str] = set()
    found: list[Sample] = []
    since = 0
    while len(found) < n:
        if (sample := draw()).caption in seen or not _belongs(sample, part):
            since += 1
            if since > 100_000:
                raise ValueError(f"the world has only {len(found)} {part} texts of {category or 'all categories'}")
            continue
        seen.add(sample.caption)
        found.append(sample)
        since = 0
    return found


def plain(n: int, seed: int, part: str = "test") -> list[Sample]:
    """Draws n held-out plain portraits without a target, to measure what the base model makes of base texts."""
    rng = random.Random(f"plain-{part}-{seed}")
    return _take(n, lambda: _with_target(_plain(rng), None), part)


_SURROUNDINGS = frozenset({"clothes", "background", "expression"})


def _plain(rng: random.Random) -> Portrait:
    subject = rng.choice(ATTRIBUTES["subject"])
    return Portrait(
        subject=subject,
        skin=rng.choice(ATTRIBUTES["skin"]),
        hair_style=rng.choice(MEN_HAIR if subject == "man" else WOMEN_HAIR),
        hair_color=rng.choice(BASE_HAIR_COLORS),
        clothes=rng.choice(BASE_CLOTHES),
        clothes_color=rng.choice(BASE_CLOTHES_COLORS),
        background=rng.choice(BASE_BACKGROUNDS),
        expression=rng.choice(ATTRIBUTES["expression"]),
        eyes=rng.choice(ATTRIBUTES["eyes"]),
    )


def _category(rng: random.Random) -> Category:
    return rng.choices(list(CATEGORY_COUNTS), weights=list(CATEGORY_COUNTS.values()))[0]


def _fitting(rng: random.Random, portrait: Portrait, category: Category | None = None) -> Target:
    return rng.choice([t for t in TARGETS.values() if t.fits(portrait) and category in (None, t.category)])


def _compatible(first: Target, second: Target) -> bool:
    """Two targets fit together if neither sets or hides what the other sets."""
    return not (set(first.sets) & (set(second.sets) | second.hides) or set(second.sets) & first.hides)


def _with_target(portrait: Portrait, *targets: Target | None) -> Sample:
    carried = [target for target in targets if target]
    said = phrases(portrait, without=_contradicted(*carried))
    for target in carried:
        portrait = target.apply(portrait)
    first, second = (*carried, None, None)[:2]
    return Sample(portrait, first, said, second)


def _contradicted(*targets: Target | None) -> frozenset[str]:
    return frozenset().union(*(target.contradicts for target in targets if target))


def _belongs(sample: Sample, part: str) -> bool:
    """Whether a sample may be drawn for a part.

    The base text alone decides what is held out. Training takes no sample whose base text or complete text
    is held out, so it sees neither of a test's texts.
    """
    base_text = _part(", ".join(sample.phrases))
    return base_text == part and (part != "train" or _part(sample.caption) == part)


def _part(text: str) -> str:
    bucket = hashlib.blake2b(text.encode(), digest_size=4).digest()[0] % 20
    return "test" if bucket < 2 else "validation" if bucket == 2 else "train"


def _take(n: int, draw, part: str) -> list[Sample]:
    def endless() -> Iterator[Sample]:
        while True:
            sample = draw()
            if _belongs(sample, part):
                yield sample

    return list(islice(endless(), n))
