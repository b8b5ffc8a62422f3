"""The verdicts on the paper's claims as a table."""

from collections.abc import Iterator, Sequence

from baselines.standings import NOT_RUN, STATEMENTS, Comparison, Finding, Statement, told
from spf_bench.table.model import ALL, part_label
from spf_bench.table.notes import cautions, told_missing
from spf_bench.table.sheet import Sheet

WORDS = ("holds", "does not hold", "undecided")
NOTE = (
    "a score holds where the whole 95 % interval of the paired difference (over triples, and seeds where there are "
    "several) lies on the claimed side of zero, does not hold where all of it lies on the other"
)


def sheet(found: Sequence[Finding], notes: Sequence[str] = ()) -> Sheet:
    """Return a row for every comparison that could be made, and below them what they say of each claim.

    Args:
        found: What was compared.
        notes: What else is to be said of the runs, such as that some are missing.
    """
    made = [finding for finding in found if finding.differences]
    rows = tuple(
        (str(f.statement.number), _compared(f.comparison), *(_scores(f, word) for word in WORDS)) for f in made
    )
    verdicts = [f"claim {s.number}, {s.text}: {_verdict(s, found)}" for s in STATEMENTS]
    data = tuple(_data(finding, key) for finding in made for key in finding.verdicts)
    head = ("claim", "compared", *WORDS)
    below = (*verdicts, *notes, *([NOTE] if made else []), *_cautions(made))
    return Sheet("claims", "The paper's claims in these runs", head, rows, data, below, left=len(head))


def _cautions(made: Sequence[Finding]) -> Iterator[str]:
    """Yield which scores were not measured on every triple, and what must be said of the runs."""
    for finding in made:
        scores = {key: told_missing(score) for key, score in finding.differences.items() if key in finding.verdicts}
        if short := ", ".join(f"{key} on {told}" for key, told in scores.items() if told):
            yield f"{_compared(finding.comparison)}: {short}, the triples measured in all runs"
    runs = {record.run: record for finding in made for record in finding.records}
    yield from cautions(list(runs.items()))


def _compared(comparison: Comparison) -> str:
    where = [comparison.track.value] if comparison.track.value != "triples" else []
    where += [part_label(comparison.part)] if comparison.part != ALL else []
    what = "spread of " if comparison.spread else ""
    return f"{what}{comparison.method} − {comparison.other}" + (f" ({', '.join(where)})" if where else "")


def _scores(finding: Finding, word: str) -> str:
    return ", ".join(key for key, said in finding.verdicts.items() if said == word)


def _verdict(statement: Statement, found: Sequence[Finding]) -> str:
    """Return what is said of a claim, which of its comparisons are still to be made, and which scores they lack."""
    said, mine = told(statement, found), [f for f in found if f.statement is statement]
    if said == NOT_RUN:
        return said
    absent = [_compared(f.comparison) for f in mine if not f.differences]
    short = [f"{_compared(f.comparison)}: {', '.join(f.unmeasured)}" for f in mine if f.differences and f.unmeasured]
    parts = [said, *([f"not run: {', '.join(absent)}"] if absent else [])]
    return "; ".join([*parts, *([f"not measured in both: {'; '.join(short)}"] if short else [])])


def _data(finding: Finding, key: str) -> dict[str, object]:
    score, c = finding.differences[key], finding.comparison
    return {
        "claim": finding.statement.number, "method": c.method, "minus": c.other, "track": c.track.value, "part": c.part,
        "of": "spread" if c.spread else "mean", "metric": key, "claimed_sign": dict(c.signs)[key],
        "difference": score.mean, "lo": score.lo, "hi": score.hi, "n": score.n, "missing": score.missing,
        "verdict": finding.verdicts[key],
    }  # fmt: skip
