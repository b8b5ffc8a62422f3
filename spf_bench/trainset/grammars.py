"""Where candidates' texts come from: the portrait grammar, or the world's; each chunk is drawn by itself."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from spf_bench import testset
from spf_bench.captions import grammar
from spf_bench.captions.build import FIVE_K, draw
from spf_bench.captions.lexicon import Line, fits
from spf_bench.captions.people import Person, deck
from spf_bench.files.store import code_sha256
from spf_bench.trainset.chunks import CHUNK
from spf_bench.triple import Category, Triple
from spf_bench.world.testset import apportion, interleave, noise_seed

SEEDS = 1_000_000  # more chunks of one seed would repeat those of the next


@dataclass(frozen=True)
class Grammar:
    """A source of texts."""

    name: str
    """Beginning of the candidates' ids."""
    draw: Callable[[int, int], list[Triple]]
    """Returns the ``size`` candidates of a chunk, given seed and chunk."""
    code: tuple[str, ...]
    """Modules that decide what it draws."""
    apart: str | None = None
    """Test set none of whose base texts it draws; None where its own code sees to that."""
    size: int = CHUNK
    """Candidates it draws at once."""

    def facts(self, seed: int) -> dict[str, Any]:
        """Return everything that decides the texts."""
        held_out = testset.load(self.apart).sha256 if self.apart else None
        return {
            "grammar": self.name,
            "seed": seed,
            "apart": held_out,
            "size": self.size,
            "code": code_sha256(*self.code, __name__),
        }


def portraits(seed: int, chunk: int) -> list[Triple]:
    """Draw a chunk of the portrait grammar, people in equal numbers and categories in Table 3's proportions.

    The proportions hold over any number of chunks. No base text of the 5K test set is drawn, nor one twice in a chunk.
    """
    rng = random.Random(f"trainset-{seed}-{chunk}")
    seen, used = set(_held_out()), Counter[str]()
    ids = [f"portrait-{seed}-{chunk * CHUNK + i:07}" for i in range(CHUNK)]
    found = []
    for key, category, person in zip(ids, interleave(_seats(chunk)), deck(CHUNK, rng), strict=True):
        target, caption = draw(_fitting(category, person), partial(grammar.compose, person, rng=rng), used, seen, rng)
        found.append(Triple(key, caption.text, target.text, category, noise_seed(key), caption.phrases))
    return found


def world(seed: int, chunk: int) -> list[Triple]:
    """Draw a chunk of the world's customisation set: its texts alone, no portrait is rendered."""
    from spf_bench.world.distributions import custom

    found = []
    for i, sample in enumerate(custom(CHUNK, seed * SEEDS + chunk), start=chunk * CHUNK):
        key = f"world-{seed}-{i:07}"
        assert sample.target is not None  # every customisation portrait has one
        base, target = ", ".join(sample.phrases), sample.target
        found.append(Triple(key, base, target.phrase, target.category, noise_seed(key), sample.phrases))
    return found


PORTRAITS = Grammar("portraits", portraits, ("spf_bench.captions", "spf_bench.world.testset"), FIVE_K)
WORLD = Grammar("world", world, ("spf_bench.world.distributions", "spf_bench.world.targets"))


def for_suite(name: str) -> Grammar:
    """Return the grammar whose texts a suite's models understand."""
    return WORLD if name == "world" else PORTRAITS


def _seats(chunk: int) -> dict[Category, int]:
    """Return a chunk's part of each category, such that any number of chunks has the proportions of Table 3."""
    from spf_bench.world.distributions import CATEGORY_COUNTS

    before, after = (apportion(n * CHUNK, CATEGORY_COUNTS) for n in (chunk, chunk + 1))
    return {category: after[category] - before[category] for category in after}


@cache
def _held_out() -> frozenset[str]:
    return frozenset(triple.base for triple in testset.load(FIVE_K).triples)


@cache
def _fitting(category: Category, person: Person) -> tuple[Line, ...]:
    """Return the targets of a category that do not contradict what is said of a person."""
    about = Line("", person.tags)
    return tuple(line for line in grammar.targets()[category] if fits(line, about))
