"""``spf-bench sweep``: the paper's Fig. 13, FID over the weight of each loss."""

from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli import options
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
from spf_bench.table.formats import Format


def sweep(
    weights: Annotated[str, typer.Option("--lambda", help="Which weights: text, fine, enhance; commas between.")],
    values: Annotated[
        str, typer.Option(help="Weights to try, commas between, the same for each --lambda; instead of --factors.")
    ] = "",
    factors: Annotated[
        str, typer.Option(help="Multiples of the preset's own weight; by default 0, 0.25, 0.5, 1, 2, 4.")
    ] = "",
    suite: Suite = "world",
    seeds: Seeds = 1,
    testset: TestSet = None,
    limit: Limit = None,
    preset: Preset = "default",
    changes: Changes = None,
    runs: Runs = DEFAULT_RUNS,
    records: Records = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for sweep.json and sweep.png.", metavar="DIR", callback=options.folder)
    ] = None,
    device: Device = None,
    threads: Threads = None,
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV, LaTeX or JSON.")] = Format.text,
) -> None:
    """Train and score SPF over a range of each loss weight, the others as in the preset; print and plot FID.

    Every run is an ordinary one, with its record below --runs; stage 1 is trained once per seed.

    - `spf-bench sweep --lambda text,fine,enhance --seeds 3`
    - `spf-bench sweep --lambda text,fine,enhance --factors 0,0.25,4`
    - `spf-bench sweep --lambda fine --values 0,0.01,0.1 --preset quick --limit 16`
    """
    from spf_bench.environment import quiet

    quiet()  # before the imports below bring in the model libraries
    from baselines.ablation import carry_out, tables
    from baselines.experiment import Experiment
    from baselines.sweep import as_ablation, plan, save
    from spf_bench.cli.console import err, out
    from spf_bench.table.formats import render

    experiment = Experiment.of(suite, testset, limit, preset, device, threads, changes, runs, records)
    sweeps = plan(experiment, _words(weights), _numbers(values, "--values"), _numbers(factors, "--factors"))
    ablation = as_ablation(sweeps)
    results = carry_out(experiment, ablation, seeds, err)
    typer.echo(render(tables(results, ablation, seeds), kind), nl=False)
    out.print(f"picture  {save(results, sweeps, seeds, to or runs / 'sweep')}", soft_wrap=True)
    if results.diverged:
        raise typer.Exit(1)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
