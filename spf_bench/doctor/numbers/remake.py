"""Makes the stored pairs and numbers anew: ``python -m spf_bench.doctor.numbers.remake [--pairs] [KEY ...]``.

Needs the authors' packages: ``pip install '.[paper,crosscheck]'``. Numbers in which ours and theirs differ are
not written.
"""

import argparse
import math
from collections.abc import Sequence

from spf_bench.doctor.numbers import pairs
from spf_bench.doctor.numbers.authors import OWN, Theirs
from spf_bench.doctor.numbers.check import LEAST, Bench
from spf_bench.doctor.numbers.measure import Values
from spf_bench.doctor.numbers.stored import FILE, Known, Stored, versions
from spf_bench.doctor.numbers.subjects import SUITES, Subject, subjects
from spf_bench.errors import Problem, UserError


def remake(keys: Sequence[str] = (), suites: Sequence[str] = SUITES) -> Stored:
    """Measure the pairs with our code and with the authors', and return what is to be stored.

    Args:
        keys: Only these metrics; none: all.
        suites: Of these suites.

    Raises:
        ImportError: A package is missing.
        UserError: Ours and the authors' numbers differ.
    """
    before = Stored.load() if keys and FILE.is_file() else Stored()
    metrics, networks, problems = dict(before.metrics), dict(before.networks), list[Problem]()
    for suite in suites:
        bench = Bench(suite)
        for subject in subjects(suite):
            if not keys or subject.key in keys:
                ours, names = bench.measure(subject)
                theirs = authors_of(subject)
                problems += differing(subject, ours, theirs)
                metrics[f"{suite}/{subject.key}"] = _known(ours, theirs, names)
        networks |= bench.sights
    if problems:
        raise UserError("nothing was stored", "our numbers and the authors' differ", problems=problems)
    return Stored(metrics, networks, versions())


def authors_of(subject: Subject) -> list[Theirs]:
    """Return what the authors' code gives; nothing where there is none to install."""
    from spf_bench.doctor.numbers import authors_paper, authors_sets, authors_world

    paper = subject.suite == "paper"
    known = authors_paper.AUTHORS | authors_sets.AUTHORS if paper else authors_world.AUTHORS
    return known[subject.key](pairs.load(subject.size)) if subject.key in known else []


def differing(subject: Subject, ours: Values, theirs: Sequence[Theirs]) -> list[Problem]:
    """Return in which columns our numbers are not the authors'."""
    problems = []
    for told in theirs:
        mine = ours[told.column]
        scale = max([LEAST, *(abs(v) for v in told.values if math.isfinite(v))])
        gaps = [_gap(a, b) for a, b in zip(mine, told.values, strict=True)]
        if max(gaps) > subject.tolerance * scale:
            why = f"off by {max(gaps):.3g}: ours {mine}, {told.source} {list(told.values)}"
            problems.append(Problem(f"{subject.suite}/{told.column}", why, ""))
    return problems


def _gap(mine: float | None, other: float) -> float:
    if mine is None or not math.isfinite(other):
        return 0.0 if mine is None and not math.isfinite(other) else math.inf
    return abs(mine - other)


def _known(ours: Values, theirs: Sequence[Theirs], names: list[str]) -> Known:
    given = {told.column: told for told in theirs}
    values: Values = {c: _rounded(given[c].values) if c in given else own for c, own in ours.items()}
    return Known(values, {c: given[c].source if c in given else OWN for c in ours}, names)


def _rounded(values: Sequence[float]) -> list[float | None]:
    return [float(f"{v:.10g}") if math.isfinite(v) else None for v in values]


def main() -> None:
    """Make the files."""
    asked = argparse.ArgumentParser(prog=f"python -m {__spec__.name}" if __spec__ else None, description=__doc__)
    asked.add_argument("keys", nargs="*", help="only these metrics")
    asked.add_argument("--pairs", action="store_true", help="draw the pairs anew first")
    given = asked.parse_args()
    from spf_bench.environment import quiet

    quiet()
    if given.pairs:
        pairs.make()
    try:
        remake(given.keys).save()
    except (ImportError, UserError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"stored  {FILE}")


if __name__ == "__main__":
    main()
