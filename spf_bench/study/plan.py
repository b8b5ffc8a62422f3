"""Which pairs of portraits whom is shown: balanced over methods, categories and sides.

Comparisons stand in one row: every pair of methods once, then every pair again with the next category, and so on. A
participant is given a stretch of the row, the next one the stretch after it, and at its end the row begins again: each
stretch holds every pair of methods and every category equally often, give or take one, and each comparison is seen by
equally many participants.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from spf_bench.study.model import Unit
from spf_bench.triple import Triple


@dataclass(frozen=True)
class Ask:
    """How large a study is."""

    participants: int = 32
    """As in the paper."""
    pairs: int = 48
    """Comparisons of each participant, attention checks not counted."""
    checks: int = 4
    """Attention checks of each participant."""
    raters: int = 4
    """Participants who see the same comparison: agreement is measured on those."""
    seed: int = 0
    """What everything is drawn with, invitations aside."""


@dataclass(frozen=True)
class Placed:
    """A comparison as one participant sees it."""

    unit: int
    """Index of the unit."""
    flipped: bool
    """Whether the first method stands on the right."""


def pairs_of(labels: Sequence[str], ours: str | None = None) -> list[tuple[str, str]]:
    """Return the pairs of methods: all of them, or one method with each of the others."""
    if ours is None:
        return list(combinations(labels, 2))
    return [(ours, other) for other in labels if other != ours]


def choose(pairs: Sequence[tuple[str, str]], triples: Sequence[Triple], ask: Ask) -> list[Unit]:
    """Return what is compared, in the order of the row; as much as leaves each comparison its raters.

    Every pair of methods is compared, if need be by fewer raters.

    Raises:
        ValueError: There are fewer comparisons than one participant is to see.
    """
    wanted = max(-(-ask.participants * ask.pairs // ask.raters), ask.pairs, len(pairs))
    rng = random.Random(f"units {ask.seed}")
    drawn = {pair: _by_category(triples, rng) for pair in pairs}
    row: list[Unit] = []
    for turn in range(len(triples)):
        for number, pair in enumerate(pairs):
            triple = _next(drawn[pair], turn + number)
            row.append(Unit(*pair, triple.id, triple.category.value))
    if len(row) < ask.pairs:
        raise ValueError(f"{len(pairs)} pairs of methods on {len(triples)} triples make {len(row)} comparisons")
    return row[:wanted]


def checks(triples: Sequence[Triple], ask: Ask) -> list[Unit]:
    """Return the attention checks, on triples drawn at random."""
    order = random.Random(f"checks {ask.seed}").sample(list(triples), len(triples))
    chosen = [order[number % len(order)] for number in range(ask.checks)]
    return [Unit("", "", triple.id, triple.category.value, check=True) for triple in chosen]


def deal(units: Sequence[Unit], pairs: int, ask: Ask) -> list[list[Placed]]:
    """Return what each participant sees, in its order.

    Args:
        units: From ``choose``, then those of ``checks``.
        pairs: How many pairs of methods there are.
        ask: How large the study is.
    """
    n = len(units) - ask.checks
    rng = random.Random(f"order {ask.seed}")
    start = [rng.random() < 0.5 for _ in range(pairs)]
    dealt = []
    for participant in range(ask.participants):
        places = range(participant * ask.pairs, (participant + 1) * ask.pairs)
        seen = [Placed(place % n, _flipped(place, n, pairs, start)) for place in places]
        rng.shuffle(seen)
        traps = [Placed(n + k, (k + participant) % 2 == 1) for k in range(ask.checks)]
        rng.shuffle(traps)
        dealt.append(_spread(seen, traps, rng))
    return dealt


def _by_category(triples: Sequence[Triple], rng: random.Random) -> list[list[Triple]]:
    order = rng.sample(list(triples), len(triples))
    names = sorted({triple.category for triple in triples})
    return [[triple for triple in order if triple.category == name] for name in names]


def _next(left: list[list[Triple]], turn: int) -> Triple:
    """Take a triple of the category whose turn it is, or of the next that has one."""
    for step in range(len(left)):
        category = left[(turn + step) % len(left)]
        if category:
            return category.pop()
    raise ValueError("no triple is left")


def _flipped(place: int, n: int, pairs: int, start: Sequence[bool]) -> bool:
    """Change sides from turn to turn within a participant, and from lap to lap for the same comparison."""
    lap, unit = divmod(place, n)
    turn, pair = divmod(unit, pairs)
    return (turn + lap + start[pair]) % 2 == 1


def _spread(seen: list[Placed], traps: Sequence[Placed], rng: random.Random) -> list[Placed]:
    """Put one check at a random place into each of equally long stretches: nobody can wait for it."""
    width = len(seen) / max(len(traps), 1)
    for number, trap in reversed(list(enumerate(traps))):
        seen.insert(rng.randint(int(number * width), max(int((number + 1) * width) - 1, 0)), trap)
    return seen
