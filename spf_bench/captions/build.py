"""Draws the test sets ``spf-5k-v1``, ``spf-200-v1`` and ``general-v1``: frozen once, then only loaded."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial

from spf_bench.captions import general, grammar
from spf_bench.captions.lexicon import Line, fits, repeats
from spf_bench.captions.people import SKINS, STATED, deck
from spf_bench.captions.tokens import LIMIT, clip_tokens
from spf_bench.errors import unknown
from spf_bench.triple import Category, Triple
from spf_bench.world.distributions import CATEGORY_COUNTS
from spf_bench.world.testset import apportion, interleave, noise_seed

FIVE_K, TWO_HUNDRED, GENERAL = "spf-5k-v1", "spf-200-v1", "general-v1"
TRIES = 50
"""Draws for one target before another one is tried."""


@dataclass(frozen=True, slots=True)
class Case:
    """A triple and what its base text was drawn from."""

    triple: Triple
    facts: dict[str, str]
    """Gender, age, stated skin tone (empty where open) and setting; of the general set, domain and setting."""


def build(name: str, seed: int = 0) -> list[Case]:
    """Return the cases of the test set ``name``; the same for the same seed.

    Raises:
        UserError: The grammar has no such test set.
    """
    if name not in SETS:
        raise unknown("test set of captions", name, SETS, "python -m spf_bench.captions --help")
    return SETS[name](seed)


def build_5k(seed: int = 0, n: int = 5000) -> list[Case]:
    """Return ``n`` portrait cases: no base text twice, categories in Table 3's proportions, people in equal numbers."""
    return list(_portraits(seed, n))


@cache
def _portraits(seed: int, n: int) -> tuple[Case, ...]:
    rng = random.Random(f"{FIVE_K}-{seed}")
    seen: set[str] = set()
    used: Counter[str] = Counter()
    order = interleave(apportion(n, CATEGORY_COUNTS))
    cases = []
    for i, (category, person) in enumerate(zip(order, deck(n, rng), strict=True), start=1):
        about = Line("", person.tags)
        fitting = [line for line in grammar.targets()[category] if fits(line, about)]
        target, caption = draw(fitting, partial(grammar.compose, person, rng=rng), used, seen, rng)
        triple = _triple(f"{FIVE_K}-{i:04}", caption.phrases, target, category)
        facts = {"gender": person.gender, "age": person.age, "skin": person.skin or "", "setting": caption.setting}
        cases.append(Case(triple, facts))
    return tuple(cases)


def build_200(seed: int = 0, n: int = 200) -> list[Case]:
    """Return ``n`` cases of ``spf-5k-v1``, ids and noise seeds kept, so that originals made for one serve the other.

    Stratified: categories as there, then every gender and age, every target and every stated skin tone as often as
    any other.
    """
    left = dict(enumerate(_portraits(seed, 5000)))
    taken: Counter[object] = Counter()

    def rarity(i: int) -> tuple[float, ...]:
        return tuple(taken[key] / weight for key, weight in _strata(left[i]).items())

    cases = []
    for category in interleave(apportion(n, CATEGORY_COUNTS)):
        i = min((i for i, case in left.items() if case.triple.category == category), key=rarity)
        case = left.pop(i)
        taken.update(_strata(case).keys())
        cases.append(case)
    return cases


def build_general(seed: int = 0, n: int = 600) -> list[Case]:
    """Return ``n`` cases beyond portraits, a third each of animals, objects and scenes."""
    rng = random.Random(f"{GENERAL}-{seed}")
    seen: set[str] = set()
    used: Counter[str] = Counter()
    size = {domain: n // 3 + (i < n % 3) for i, domain in enumerate(general.DOMAINS)}
    orders = {
        domain: iter(interleave(apportion(size[domain], {Category(c): len(t) for c, t in found.items()})))
        for domain in general.DOMAINS
        if (found := general.targets(domain))
    }
    cases = []
    for i in range(n):
        domain = general.DOMAINS[i % 3]
        category = next(orders[domain])
        lines = general.targets(domain)[category]
        target, caption = draw(lines, partial(general.compose, domain, rng=rng), used, seen, rng)
        triple = _triple(f"{GENERAL}-{i + 1:04}", caption.phrases, target, category)
        cases.append(Case(triple, {"domain": domain, "setting": caption.setting}))
    return cases


def draw(
    lines: Iterable[Line],
    compose: Callable[[Line], grammar.Caption | None],
    used: Counter[str],
    seen: set[str],
    rng: random.Random,
) -> tuple[Line, grammar.Caption]:
    """Return the target used least so far that finds a base text nobody has, and that text."""
    for line in sorted(lines, key=lambda line: (used[line.text], rng.random())):
        for _ in range(TRIES):
            caption = compose(line)
            if caption and caption.text not in seen and _reads(caption.text, line.text):
                used[line.text] += 1
                seen.add(caption.text)
                return line, caption
    raise AssertionError("the grammar has no base text left")


def _reads(base: str, target: str) -> bool:
    return not repeats(base) and clip_tokens(f"{base}, {target}") <= LIMIT


def _strata(case: Case) -> dict[object, float]:
    """Return what a subset must hold evenly, most important first, with the share each is to have beside its like."""
    facts = case.facts
    open_share = len(SKINS) * (1 - STATED) / STATED
    return {
        (facts["gender"], facts["age"]): 1.0,
        case.triple.target: 1.0,
        ("skin", facts["skin"]): 1.0 if facts["skin"] else open_share,
        ("setting", facts["setting"]): 1.0,
    }


def _triple(triple_id: str, phrases: tuple[str, ...], target: Line, category: Category) -> Triple:
    return Triple(triple_id, ", ".join(phrases), target.text, category, noise_seed(triple_id), phrases)


SETS: dict[str, Callable[[int], list[Case]]] = {FIVE_K: build_5k, TWO_HUNDRED: build_200, GENERAL: build_general}
"""The test sets by name, and what draws each for a seed."""
