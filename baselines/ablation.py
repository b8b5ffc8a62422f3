"""Ablations: every variant trained with every seed, and the tables made of their records."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console

from baselines.claims import check
from baselines.experiment import Experiment, diverged
from baselines.variants import SPF, Ablation
from spf_bench.errors import UserError
from spf_bench.record import Score
from spf_bench.table.model import ALL, Cell, Entry, Row, Table, table_of
from spf_bench.table.notes import explain, extent
from spf_bench.table.seeds import NOTE, differences, merge

REFERENCES = ("original", "prompt_only")
"""Methods that stand in every table: ceiling and floor of preservation and response."""


@dataclass
class Results:
    """What came of an ablation."""

    references: list[Entry] = field(default_factory=list)
    """The methods that do not train."""
    variants: dict[str, list[Entry]] = field(default_factory=dict)
    """By the variant's name: its runs in the order of the seeds."""
    method: str = ""
    """The variant whose settings are the preset's own: SPF as this suite trains it."""
    diverged: list[str] = field(default_factory=list)
    """Variants and seeds whose training diverged; a variant with one of them stands in no table."""


def carry_out(experiment: Experiment, ablation: Ablation, seeds: int, console: Console) -> Results:
    """Run every variant with every seed; what is done already is taken as it is, a shared stage trained once.

    Raises:
        UserError: A setting is wrong, found before anything is trained.
    """
    plan = [(v, seed, experiment.run("spf", v.changes, seed)) for seed in range(seeds) for v in ablation.variants]
    results = Results([experiment.finish(experiment.run(name), name, console) for name in REFERENCES])
    results.method = method_of(experiment, ablation)
    for variant, seed, run in plan:
        title = f"{variant.title}, seed {seed}"
        try:
            results.variants.setdefault(variant.name, []).append(experiment.finish(run, title, console))
        except UserError as error:
            if not diverged(error):
                raise
            results.diverged.append(f"{title}: {error.what}")
    return results


def method_of(experiment: Experiment, ablation: Ablation) -> str:
    """Name the variant that is SPF as the suite's preset has it; empty where none is."""
    own = experiment.run("spf").folder
    return next((v.name for v in ablation.variants if experiment.run("spf", v.changes).folder == own), "")


def tables(results: Results, ablation: Ablation, seeds: int) -> list[Table]:
    """Return the table in the paper's shape, and one of the differences from the method as it is."""
    whole = {name: entries for name, entries in results.variants.items() if len(entries) == seeds}
    titles = _titles(results, ablation)
    rows = [merge([entry], entry.record.method.title) for entry in results.references]
    rows += [merge(entries, titles[name]) for name, entries in whole.items()]
    notes = [*([NOTE] if seeds > 1 else []), *(f"left out: {reason}" for reason in results.diverged)]
    main = table_of(rows, ALL, notes)
    head = f"{ablation.title}; mean of {seeds} seed{'s' if seeds > 1 else ''}; {main.heading}"
    main = replace(main, heading=head)
    return [main, *_differences(whole, ablation, titles, main)]


def verdicts(results: Results, ablation: Ablation, seeds: int) -> Iterator[str]:
    """Yield a line for every claim of the paper about these variants: on which scores it holds here."""
    found = gaps({name: e for name, e in results.variants.items() if len(e) == seeds}, ablation)
    for claim, told in check(found):
        said = ", ".join(f"{key} {verdict}" for key, verdict in told.items())
        yield f"claim {claim.number}, {claim.text}: {said}"


def gaps(whole: Mapping[str, Sequence[Entry]], ablation: Ablation) -> dict[str, dict[str, Score]]:
    """Return every variant's differences from the method as it is, by score; empty where that is missing."""
    if ablation.reference not in whole:
        return {}
    reference = whole[ablation.reference]
    return {name: differences(e, reference) for name, e in whole.items() if name != ablation.reference}


def _titles(results: Results, ablation: Ablation) -> dict[str, str]:
    """Names in print by variant; the one that is the method as its preset has it says so."""
    titles = {variant.name: variant.title for variant in ablation.variants}
    if results.method and titles[results.method] != SPF.title:
        titles[results.method] += f" ({SPF.title})"
    return titles


def _differences(
    whole: Mapping[str, Sequence[Entry]], ablation: Ablation, titles: Mapping[str, str], main: Table
) -> Iterator[Table]:
    rows = []
    for name, scores in gaps(whole, ablation).items():
        found = {c.key: scores[c.key] for c in main.columns if c.key in scores}
        cells = {key: Cell(score, best=False, partial=score.missing > 0) for key, score in found.items()}
        rows.append(Row(titles[name], merge(whole[name], name).record, cells, unresponsive=False))
    if rows:
        heading = f"{ablation.title}; minus {titles[ablation.reference]}, triple by triple and seed by seed"
        heading += f"; {extent(main.rows[0].record, main.n)}"
        notes = ("an interval that does not contain 0 is a difference", *explain(rows, main.columns))
        yield replace(main, heading=heading, rows=tuple(rows), notes=notes)
