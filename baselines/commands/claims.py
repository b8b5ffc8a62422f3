"""``spf-bench claims``: what finished runs say of the paper's claims about whole methods."""

from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli.options import DEFAULT_RUNS, ManyRuns, files
from spf_bench.table.layout import Format


def claims(
    runs: ManyRuns = None,
    preset: Annotated[str, typer.Option(help="Only runs of this training budget count.")] = "default",
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV, LaTeX or JSON.")] = Format.text,
    to: Annotated[
        Path | None, typer.Option(help="Write .md, .csv, .tex, .json or .txt instead.", metavar="FILE", callback=files)
    ] = None,
) -> None:
    """Say which of the paper's claims 1 to 4, 10 and 11 hold in the runs below some folders.

    A claim holds where the whole 95 % interval of each paired difference lies on the claimed side of zero. Claims 5 to
    9 are about parts of SPF: `spf-bench ablate` tells of them.

    - `spf-bench claims --runs reports/leaderboard`
    - `spf-bench claims --preset quick --to claims.md`
    """
    from baselines.absent import absent
    from baselines.claims_sheet import sheet
    from baselines.standings import findings
    from spf_bench.cli.console import err
    from spf_bench.files.store import write_text
    from spf_bench.table.leaderboard import format_of
    from spf_bench.table.model import collect
    from spf_bench.table.sheet import render_sheet

    form = kind if to is None else format_of(to)
    entries = collect(*(runs or [DEFAULT_RUNS]))
    text = render_sheet(sheet(findings(entries, preset), absent(entries, preset)), form)
    if to is None:
        typer.echo(text, nl=False)
    else:
        write_text(to, text)
        err.print(f"claims  {to}", markup=False, soft_wrap=True)
