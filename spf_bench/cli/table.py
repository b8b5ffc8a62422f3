"""``spf-bench table``: finished runs side by side, as text or in files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err
from spf_bench.cli.options import DEFAULT_RUNS, ManyRuns, PerSeed, SeedRows, files
from spf_bench.table.layout import Format


class By(StrEnum):
    """What a table can be split by."""

    category = "category"
    step = "step"


class Shape(StrEnum):
    """The tables of the paper that ours can be shaped like."""

    main = "1"
    costs = "2"
    trainable = "4"
    stages = "5"


class Versus(StrEnum):
    """What can be set beside our figures."""

    published = "published"


class Ends(StrEnum):
    """How a 95 % interval is printed: the names of ``spf_bench.table.formats.Interval``."""

    half = "half"
    range = "range"
    none = "none"


def table(
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV, LaTeX or JSON.")] = Format.text,
    runs: ManyRuns = None,
    to: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write .md, .csv, .tex, .json or .txt instead; may be given again.", metavar="FILE", callback=files
        ),
    ] = None,
    by: Annotated[By | None, typer.Option(help="A table for each category of target, or step of a sequence.")] = None,
    seeds: SeedRows = PerSeed.each,
    intervals: Annotated[Ends, typer.Option(help="Print 95 % intervals as half width or range.")] = Ends.half,
    significance: Annotated[
        bool, typer.Option("--significance", help="Add paired permutation tests, Holm's correction over methods.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="Test against this method instead of the best.", metavar="METHOD")
    ] = None,
    costs: Annotated[bool, typer.Option("--costs", help="Add updates, samples, sizes, memory and seconds.")] = False,
    shape: Annotated[
        Shape | None, typer.Option(help="Only the rows of the paper's Table 1, 4 or 5, in its order; 2 is costs alone.")
    ] = None,
    vs: Annotated[Versus | None, typer.Option(help="Also print the paper's figures, apart.")] = None,
    published: Annotated[bool, typer.Option("--published", hidden=True)] = False,
) -> None:
    """Print every finished run below some folders, side by side where they may be compared.

    Runs of other suites, test sets, tracks, n or sampling stand in tables of their own. Best and second of the methods
    that compete are marked; the original portrait and methods that have not responded (!) never compete.

    - `spf-bench table --by category`
    - `spf-bench table --seeds mean --significance --against spf`
    - `spf-bench table --costs --shape 5 --vs published`
    - `spf-bench table --runs runs --runs reports/leaderboard`
    - `spf-bench table --runs reports/leaderboard --to leaderboard.md --to leaderboard.csv --to leaderboard.tex`
    """
    from spf_bench.files.store import write_text
    from spf_bench.table.formats import Interval
    from spf_bench.table.leaderboard import Wanted, format_of, show
    from spf_bench.table.model import collect

    written = {path: format_of(path) for path in to or ()}
    wanted = Wanted(
        by_part=by is not None,
        mean=seeds is PerSeed.mean,
        shape=None if shape is None else shape.value,
        costs=costs,
        significance=significance,
        against=against,
        published=vs is not None or published,
    )
    entries, ends = collect(*(runs or [DEFAULT_RUNS])), Interval(intervals)
    if not written:
        typer.echo(show(entries, wanted, kind, ends), nl=False)
    for path, form in written.items():
        write_text(path, show(entries, wanted, form, ends))
        err.print(f"table  {escape(str(path))}", soft_wrap=True)
