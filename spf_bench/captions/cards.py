"""The cards of the caption sets: what is in them, how they were made, what they are not good for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product

from spf_bench.captions.build import FIVE_K, GENERAL, TWO_HUNDRED, Case
from spf_bench.captions.general import DOMAINS
from spf_bench.captions.people import AGES, GENDERS, SKINS
from spf_bench.captions.tokens import LIMIT, clip_tokens

BINS = ((0, 19), (20, 24), (25, 29), (30, 34), (35, 39), (40, 44), (45, LIMIT))
"""Token counts of the length histogram, both ends included."""


def card(name: str, cases: Sequence[Case], seed: int) -> str:
    """Return the card of the test set ``name``."""
    triples = [case.triple for case in cases]
    intro = _INTRO[name].format(n=f"{len(cases):,}")
    how = _HOW.format(name=name, seed=seed, first=triples[0].base, target=triples[0].target)
    lengths = [clip_tokens(triple.prompt) for triple in triples]
    histogram = [(f"{low} to {high}", sum(low <= length <= high for length in lengths)) for low, high in BINS]
    tables = [
        _table("category", Counter(triple.category.label for triple in triples)),
        *(_domains(cases) if name == GENERAL else _people(cases)),
        _table("setting", Counter(case.facts["setting"] for case in cases)),
        _table("phrases of the base text", sorted(Counter(len(triple.phrases) for triple in triples).items())),
        _table(f"CLIP tokens of the complete text (at most {max(lengths)} of {LIMIT})", histogram),
        _table("target", sorted(Counter(f"{t.target} ({t.category.label})" for t in triples).items())),
    ]
    limits = _LIMITS_GENERAL if name == GENERAL else _LIMITS
    return "\n".join([f"# {name}\n", intro, how, *tables, limits])


def _people(cases: Sequence[Case]) -> list[str]:
    found = Counter((case.facts["gender"], case.facts["age"], case.facts["skin"]) for case in cases)
    counts = {
        f"{gender}, {_AGES[age]}": [found[gender, age, skin] for skin in (*SKINS, "")]
        for gender, age in product(GENDERS, AGES)
    }
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    head = ("subject", *SKINS.values(), "not stated", "triples")
    return [_rows(head, [(who, *row, sum(row)) for who, row in counts.items()])]


def _domains(cases: Sequence[Case]) -> list[str]:
    found = Counter((case.facts["domain"], case.triple.category.label) for case in cases)
    labels = sorted({label for _, label in found})
    rows = [(domain, *(found[domain, label] for label in labels)) for domain in DOMAINS]
    return [_rows(("domain", *labels), rows)]


def _table(head: str, counts: Counter[str] | Iterable[tuple[object, int]]) -> str:
    rows = counts.most_common() if isinstance(counts, Counter) else counts
    return _rows((head, "triples"), rows)


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


_AGES = {"child": "child", "young": "twenties", "adult": "thirties to forties",
         "middle": "fifties", "older": "seventies and over"}  # fmt: skip

_INTRO = {
    FIVE_K: "{n} portrait triples (base text, target text, noise seed): as many as the test set of arXiv:2504.00396v2, "
    "which was\nnot published.\n",
    TWO_HUNDRED: f"{{n}} triples of `{FIVE_K}`, with their ids and noise seeds, for quick looks: categories as there, "
    "and within\nthat every gender and age, target and skin tone as evenly as they go. Not for reported results where "
    f"`{FIVE_K}` can be run.\n",
    GENERAL: "{n} triples beyond portraits, a third each of animals, objects and scenes: the extension of Fig. 17 of "
    "arXiv:2504.00396v2.\nThe five categories keep their meaning where there is one; a scene has no clothes.\n",
}

_HOW = """- **How made**: drawn with seed {seed} from the grammar in `spf_bench/captions`; its word lists were written
  for this benchmark, nothing is taken from another data set. Base texts are phrases at commas, as in the paper.
- **Contradictions**: every line of the word lists declares what it says and what it must not meet; a base text never
  says what its target changes (no hair colour beside "with blonde hair", no clothes beside "wearing a denim jacket").
- **Texts**: no base text, and so no complete text, occurs twice. Every complete text fits CLIP's 77 tokens.
- **Noise seeds** are the SHA-256 of the triple's id modulo 2^31.
- **Originals** are not shipped: the base model makes them from base text and seed.
- **Order**: categories are spread evenly: the first n triples (`--limit n`) hold them in nearly the same proportions.
- **Facts**: `facts.csv` says, by id, what each base text was drawn from, so that scores can be broken down by it.
- **Licence**: that of this repository (Apache-2.0).
- **First triple**: "{first}" + "{target}"
- **Rebuild**: `python -m spf_bench.captions {name}` writes the same bytes; `SHA256SUMS` says whether they are the same.
"""

_LIMITS = """## Known biases

- Women and men, five ages and six stated skin tones are in equal numbers, in every prefix of the 5,000 too. Where a
  text leaves the skin tone open, the base model's own defaults show. Gender is binary here, because targets such as
  beards and gowns are declared so.
- Some targets are kept to one gender or to adults: facial hair to men, most make-up, dresses and some hairstyles to
  women, tattoos and evening dress to adults. Children are never in bars, in swimwear or in bed lying down.
- Hair colours that are rare at a skin tone are not combined with it in base texts; as targets they are.
- Places, dishes and clothes lean to North America and Europe; garments of other cultures occur as targets only.
- A target's surroundings may be unlikely (plate armor in a library): that is what customisation is asked for.
- Disability, religious dress and body shape are hardly covered.
"""

_LIMITS_GENERAL = """## Known biases

- Animals are pets, farm animals and wildlife of the temperate north; scenes are European and North American.
- Metrics of people (identity, face regions) do not apply and report why they are missing.
- Some targets are unlikely on purpose (a teapot made of toy bricks).
"""
