"""``spf-bench ablate``: the paper's ablation tables, trained and scored anew."""

from enum import StrEnum
from typing import Annotated

import typer

from spf_bench.cli.options import (
    DEFAULT_RUNS,
    Changes,
    Device,
    Limit,
    Preset,
    Records,
    Runs,
    Seeds,
    Suite,
    TestSet,
    Threads,
)  # fmt: skip
from spf_bench.table.formats import Format, Interval


class Which(StrEnum):
    """The paper's tables that can be made."""

    parts = "1"
    trainable = "4"
    stages = "5"


def ablate(
    table: Annotated[Which, typer.Option(help="1: parts left out; 4: what stage 2 trains; 5: stages.")],
    suite: Suite = "world",
    seeds: Seeds = 1,
    testset: TestSet = None,
    limit: Limit = None,
    preset: Preset = "default",
    changes: Changes = None,
    runs: Runs = DEFAULT_RUNS,
    records: Records = None,
    device: Device = None,
    threads: Threads = None,
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV, LaTeX or JSON.")] = Format.text,
    published: Annotated[bool, typer.Option("--published", help="Also print the paper's figures, apart.")] = False,
) -> None:
    """Train and score the variants of one of the paper's ablation tables, and print it: mean over seeds, intervals.

    Every run is an ordinary one, with its record below --runs; stage 1 is trained once per seed. What is done is
    never done again.

    - `spf-bench ablate --table 1 --suite world --seeds 3`
    - `spf-bench ablate --table 1 --seeds 3 --records reports/leaderboard --records reports/ablations`
    - `spf-bench ablate --table 4 --preset quick --limit 16 --set spf.norm=mse`
    """
    from spf_bench.environment import quiet

    quiet()  # before the imports below bring in the model libraries
    from baselines.ablation import carry_out, tables, verdicts
    from baselines.experiment import Experiment
    from baselines.variants import ABLATIONS
    from spf_bench.cli.console import err
    from spf_bench.table.formats import render, render_published

    experiment = Experiment.of(suite, testset, limit, preset, device, threads, changes, runs, records)
    ablation = ABLATIONS[table.value]
    results = carry_out(experiment, ablation, seeds, err)
    typer.echo(render(tables(results, ablation, seeds), kind, Interval.half), nl=False)
    if kind in (Format.text, Format.md):
        typer.echo("".join(f"\n- {line}" for line in verdicts(results, ablation, seeds)))
    if published:
        typer.echo("\n" + render_published(kind, table.value), nl=False)
    if results.diverged:
        raise typer.Exit(1)
