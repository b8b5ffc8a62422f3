"""The paper's claims about whole methods, as data: 1 to 4, 10 and 11, decided by paired differences of finished runs.

Claims about the parts of SPF (5 to 9) are in `claims`; its tables of ablations decide them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from baselines.claims import PRESERVATION, verdict
from spf_bench.errors import UserError
from spf_bench.record import RunRecord, Score
from spf_bench.table.model import ALL, Entry, groups
from spf_bench.table.seeds import differences
from spf_bench.tracks import Place, Track

Signs = tuple[tuple[str, int], ...]
OTHERS = ("naive", "lora", "adalora", "tokencompose", "magnet")
"""The methods that the paper compares SPF with."""
NOT_RUN = "not run"
BETTER: Signs = tuple((key, -sign) for key, sign in PRESERVATION)
"""The signs of better preservation."""
COLUMNS: Signs = (*BETTER, ("clip_t", 1), ("hps", 1), ("mps", 1))
"""The signs of a better row of the paper's Table 1."""


@dataclass(frozen=True)
class Comparison:
    """What is claimed of one method's scores minus another's."""

    method: str
    """Whose scores."""
    other: str
    """Minus whose."""
    signs: Signs
    """Score by score, the claimed sign."""
    track: Track = Track.triples
    """On which track."""
    part: str = ALL
    """In which step of a sequence."""
    spread: bool = False
    """Whether it is of the standard deviation over triples instead of the mean."""


@dataclass(frozen=True)
class Statement:
    """One claim, true where all its comparisons are."""

    number: int
    """Its place in the list of claims."""
    text: str
    """What is claimed."""
    comparisons: tuple[Comparison, ...]
    """What it comes down to."""


@dataclass(frozen=True)
class Finding:
    """A comparison that was made."""

    statement: Statement
    """Of which claim."""
    comparison: Comparison
    """What was compared."""
    differences: dict[str, Score]
    """By score; empty where the runs are missing."""
    records: tuple[RunRecord, ...] = ()
    """The runs that were compared."""

    @property
    def verdicts(self) -> dict[str, str]:
        """Say by score whether the difference is as claimed: ``holds``, ``does not hold`` or ``undecided``."""
        found = self.differences
        return {key: verdict(found[key], sign) for key, sign in self.comparison.signs if key in found}

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Scores that the claim is about and that were not measured in both."""
        found = self.differences
        return tuple(key for key, _ in self.comparison.signs if key not in found or found[key].mean is None)


def _all(methods: Sequence[str], others: Sequence[str], signs: Signs) -> tuple[Comparison, ...]:
    return tuple(Comparison(a, b, signs) for a, b in product(methods, others) if a != b)


_WORST: Signs = (("fid", 1), ("lpips", 1), ("id", -1))
_RESPONDS: Signs = (("clip_t", 1),)
_PER_TRIPLE: Signs = tuple((key, 1) for key, _ in PRESERVATION if key != "fid")
_UNSTABLE = tuple(Comparison(method, "spf", _PER_TRIPLE, spread=True) for method in ("lora", "adalora"))
_STEPS = tuple(Comparison("spf", "naive", BETTER, Track.sequence, place.value) for place in Place)

STATEMENTS = (
    Statement(
        1,
        "naive fine-tuning reaches the target, and has the worst FID, LPIPS and ID",
        (Comparison("naive", "original", _RESPONDS), *_all(["naive"], [*OTHERS, "spf"], _WORST)),
    ),
    Statement(
        2,
        "LoRA and AdaLoRA preserve better than naive fine-tuning, but vary more from triple to triple than SPF",
        (*_all(["lora", "adalora"], ["naive"], BETTER), *_UNSTABLE),
    ),
    Statement(
        3,
        "TokenCompose and Magnet follow the text, and have the worst Seg-Cons",
        (
            *_all(["tokencompose", "magnet"], ["original"], _RESPONDS),
            *_all(["tokencompose", "magnet"], ["naive", "lora", "adalora", "spf"], (("seg_cons", -1),)),
        ),
    ),
    Statement(4, "SPF is best in every column", _all(["spf"], OTHERS, COLUMNS)),
    Statement(
        10,
        "from the base text alone SPF stays nearer to the original portrait than naive fine-tuning",
        (Comparison("spf", "naive", BETTER, Track.retention),),
    ),
    Statement(
        11,
        "with targets replaced and added SPF follows, and keeps more of the portrait than naive fine-tuning",
        (Comparison("spf", "original", _RESPONDS, Track.sequence), *_STEPS),
    ),
)


def findings(entries: Sequence[Entry], preset: str = "default") -> list[Finding]:
    """Return every comparison of every claim, made on the largest set of runs that may be compared.

    Args:
        entries: Finished runs.
        preset: The budget of the runs that count; runs with changed settings never do.

    Raises:
        UserError: No run here may stand for a method.
    """
    kept = counted(entries, preset)
    if not kept:
        why = f"there is none of preset {preset} with its settings unchanged"
        raise UserError("no run decides a claim", why, "spf-bench run --method all")
    largest: dict[str, list[Entry]] = {}
    for group, _ in groups(kept):
        known = largest.get(group[0].record.track, [])
        largest[group[0].record.track] = max((known, group), key=_size)
    return [
        _finding(statement, comparison, largest.get(comparison.track.value, []))
        for statement in STATEMENTS
        for comparison in statement.comparisons
    ]


def counted(entries: Sequence[Entry], preset: str) -> list[Entry]:
    """Return the runs that may stand for their methods: of this budget, or of none, with their settings unchanged."""
    return [e for e in entries if e.record.preset in (None, preset) and not e.record.method.changes]


def told(statement: Statement, found: Sequence[Finding]) -> str:
    """Return what all comparisons of a claim say together; it holds only where every score of each was measured."""
    mine = [finding for finding in found if finding.statement is statement]
    said = [word for finding in mine for word in finding.verdicts.values()]
    if "does not hold" in said:
        return "does not hold"
    if not any(finding.differences for finding in mine):
        return NOT_RUN
    missing = any(finding.unmeasured for finding in mine)
    return "undecided" if missing or set(said) != {"holds"} else "holds"


def _size(group: Sequence[Entry]) -> tuple[int, int]:
    return (group[0].record.n if group else 0, len(group))


def _finding(statement: Statement, comparison: Comparison, group: Sequence[Entry]) -> Finding:
    mine, theirs = (_runs(name, group) for name in (comparison.method, comparison.other))
    pairs = list(_paired(mine, theirs))
    found = _differences(comparison, pairs)
    records = {entry.record.run: entry.record for pair in pairs for entry in pair} if found else {}
    return Finding(statement, comparison, found, tuple(records.values()))


def _differences(comparison: Comparison, pairs: Sequence[tuple[Entry, Entry]]) -> dict[str, Score]:
    if not pairs or comparison.part not in pairs[0][0].record.scores:
        return {}
    first, second = ([pair[i] for pair in pairs] for i in (0, 1))
    if comparison.spread:
        from baselines.spread import spread_differences

        return spread_differences(first, second, [key for key, _ in comparison.signs])
    return differences(first, second, comparison.part)


def _runs(name: str, group: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in group if entry.record.method.name == name]


def _paired(mine: Sequence[Entry], theirs: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield the runs of equal seed; a method that does not train stands beside every seed of the other."""
    for a, b in product(mine, theirs):
        if None in (a.record.seed, b.record.seed) or a.record.seed == b.record.seed:
            yield a, b
