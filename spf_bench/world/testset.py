"""Builds the portrait world's test set and its validation twin; both are frozen once and then only loaded."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from spf_bench import testset
from spf_bench.errors import unknown
from spf_bench.triple import Category, Triple
from spf_bench.world.distributions import CATEGORY_COUNTS, Sample, held_out

SETS = {"world-v1": ("test", 512), "world-val": ("validation", 128)}
"""Name of each set: the held-out part of the world it is drawn from, and its number of triples."""


def build(name: str, seed: int = 0) -> list[Triple]:
    """Return the triples of ``name``; the same for the same seed.

    Raises:
        UserError: The world has no such test set.
    """
    if name not in SETS:
        raise unknown("test set of the world", name, SETS, "spf-bench world testset --help")
    part, n = SETS[name]
    seats = apportion(n, CATEGORY_COUNTS)
    samples = {category: iter(held_out(count, seed, category, part)) for category, count in seats.items()}
    return [_triple(f"{name}-{i:04}", next(samples[category])) for i, category in enumerate(interleave(seats), start=1)]


def build_world_v1(seed: int = 0) -> list[Triple]:
    """Return the 512 triples of ``world-v1``, categories in the proportions of the paper's Table 3."""
    return build("world-v1", seed)


def build_world_val(seed: int = 0) -> list[Triple]:
    """Return 128 validation triples; no base text and no complete text of theirs is in ``world-v1``."""
    return build("world-val", seed)


def freeze(name: str, root: Path, seed: int = 0) -> Path:
    """Write the test set ``name`` with its card below ``root`` and return its folder."""
    triples = build(name, seed)
    testset.save(root / name, triples, card(name, triples, seed))
    return root / name


def apportion(n: int, shares: Mapping[Category, int]) -> dict[Category, int]:
    """Split ``n`` in the proportions of ``shares`` by largest remainder."""
    exact = {category: n * share / sum(shares.values()) for category, share in shares.items()}
    seats = {category: int(value) for category, value in exact.items()}
    by_remainder = sorted(shares, key=lambda category: seats[category] - exact[category])
    for category in by_remainder[: n - sum(seats.values())]:
        seats[category] += 1
    return seats


def interleave(counts: Mapping[Category, int]) -> Iterator[Category]:
    """Yield each category ``counts`` times, spread so evenly that any prefix has nearly the same proportions."""
    places = [((i + 0.5) / count, category) for category, count in counts.items() for i in range(count)]
    return (category for _, category in sorted(places))


def noise_seed(triple_id: str) -> int:
    """Return the noise seed of a triple, in [0, 2^31): a hash of its id, so that no order matters."""
    return int.from_bytes(hashlib.sha256(triple_id.encode()).digest()[:4], "big") % 2**31


def _triple(triple_id: str, sample: Sample) -> Triple:
    assert sample.target is not None  # held_out always gives one
    base, seed = ", ".join(sample.phrases), noise_seed(triple_id)
    return Triple(triple_id, base, sample.target.phrase, sample.target.category, seed, sample.phrases)


def card(name: str, triples: list[Triple], seed: int) -> str:
    """Return the card: what the triples are, how they were made, what they are not good for."""
    part, n = SETS[name]
    categories = "\n".join(f"| {category.label} | {count} |" for category, count in testset.counts(triples).items())
    targets = "\n".join(
        f"| {target} | {count} |" for target, count in sorted(Counter(t.target for t in triples).items())
    )
    use = "reported results" if part == "test" else "choosing settings; never for reported results"
    return _CARD.format(
        name=name, part=part, seed=seed, n=n, use=use, categories=categories, targets=targets,
        base=triples[0].base, target=triples[0].target,
    )  # fmt: skip


_CARD = """# {name}

{n} triples (base text, target text, noise seed) of the embedded portrait world, for {use}.

- **Where from**: `spf_bench.world.distributions.held_out`, part `{part}`, seed {seed}. No base text, and so no
  complete text, of any triple occurs in what the base model, the customisation set or the judges were trained on, nor
  in another held-out part.
- **Base texts** leave out what the target contradicts (no hair colour beside "with blonde hair").
- **Categories** are in the proportions of Table 3 of arXiv:2504.00396, by largest remainder, and spread evenly: the
  first n triples (`--limit n`) hold them in nearly the same proportions.
- **Texts**: no complete text occurs twice.
- **Noise seeds** are the SHA-256 of the triple's id modulo 2^31.
- **Originals** lie in `originals.parquet`, so that all compare with the same pixels: the base model made them from base
  text and seed (`spf-bench testset build --captions {name} --to DIR`, then `spf-bench testset freeze {name} --originals
  DIR/originals`). A run with another base model or other sampling makes its own. Each run's record holds their hash.
- **First triple**: "{base}" + "{target}"
- **Rebuild**: `spf-bench world testset {name}` writes the same captions and card; `SHA256SUMS` says whether they are.

| category | triples |
|---|---|
{categories}

| target | triples |
|---|---|
{targets}

Not for conclusions about photographs: the world is small, drawn, and knows twenty targets.
"""
