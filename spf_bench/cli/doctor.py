"""``spf-bench doctor``: what a run needs, and whether metrics still give the numbers they gave."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, show
from spf_bench.cli.options import Runs, Threads
from spf_bench.cli.paper import Base, Trainset, WeightsDir, refuse_elsewhere

if TYPE_CHECKING:
    from spf_bench.doctor.findings import Finding


def doctor(
    context: typer.Context,
    runs: Runs = Path("runs"),
    suite: Annotated[str, typer.Option(help="Suite to look at.")] = "world",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Measure stored pairs anew instead, and compare with stored numbers.")
    ] = False,
    base: Base = None,
    trainset: Trainset = None,
    weights_dir: WeightsDir = None,
    threads: Threads = None,
) -> None:
    """Look at everything a run needs; exit 1 with the command that mends it if something is missing.

    With `--metrics` every metric measures a few stored pairs of portraits, and its numbers are set beside those that
    the authors' own code gave. Exit 1 names the metric that has drifted, the part of it (weights, resize, tokens,
    backbone, distance), and the packages that have changed. The paper's suite is measured over small networks of the
    published kind, and needs none of the published weights; of those that are here the checksums are compared.

    - `spf-bench doctor --suite paper`
    - `spf-bench doctor --metrics`
    - `spf-bench doctor --metrics --suite paper`
    """
    from spf_bench.doctor.checks import State, examine

    refuse_elsewhere(suite, context)
    findings = _numbers(suite, threads) if metrics else examine(runs, suite)
    marks = {State.ok: "[green]ok[/]", State.note: "[yellow]note[/]", State.blocks: "[bold red]blocks[/]"}
    show(("", "what", "found", "fix"), [(marks[f.state], f.subject, escape(f.detail), escape(f.fix)) for f in findings])
    if any(finding.state is State.blocks for finding in findings):
        raise typer.Exit(1)


def _numbers(suite: str, threads: int | None) -> "list[Finding]":
    from spf_bench.environment import quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.doctor.numbers.check import numbers_findings
    from spf_bench.doctor.paper import present_weights

    set_threads(threads)
    with err.status("the stored pairs under every metric"):
        return [*numbers_findings(suite), *(present_weights() if suite == "paper" else ())]
