"""The command line: parse, call, print. Everything heavy is imported inside the command that needs it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench import __version__, cli_plugins
from spf_bench.cli_options import Changes, Device, Limit, Preset, Runs, Seed, Suite, TestSet, Threads
from spf_bench.cli_show import show as show_app
from spf_bench.cli_world import world
from spf_bench.console import Commands, err, out, show
from spf_bench.table_formats import Format, Interval

if TYPE_CHECKING:
    from spf_bench.plan import Run

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
app.add_typer(show_app, name="show")
app.add_typer(world, name="world")

EVERY = "all"
CORE = "core"
CORE_METHODS = ("prompt_only", "naive", "spf")  # the question of the paper in three rows, beside the original portrait
REFERENCE = "original"  # scored in every run: without it nobody can tell whether a method has responded at all


class Kind(StrEnum):
    """What ``list`` can list."""

    methods = "methods"
    metrics = "metrics"
    testsets = "testsets"


class By(StrEnum):
    """What ``table`` can be split by."""

    category = "category"


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Does a customised text-to-image model keep everything it was not asked to change?

    A test case is a base text ("a woman, red hair"), a target text ("wearing sunglasses") and a noise seed. The
    original model draws the base text, a method draws base and target from the same noise; the benchmark measures
    whether the target came (response) and whether all else stayed (preservation).

    Start with:   `spf-bench run --method spf`   and then   `spf-bench table`
    """
    if version:
        out.print(f"spf-bench {__version__}")
        raise typer.Exit


@app.command()
def run(
    method: Annotated[
        list[str],
        typer.Option(
            help="A name from `list methods`, path.py:Class, core (prompt_only, naive, spf) or all; may be given again."
        ),
    ],
    suite: Suite = "world",
    testset: TestSet = None,
    limit: Limit = None,
    preset: Preset = "default",
    changes: Changes = None,
    seed: Seed = 0,
    runs: Runs = Path("runs"),
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Train a method where it needs training, generate its portraits, score them, and write the record.

    The original portraits are scored beside it. What is done is never done again: stop it with Ctrl-C, and the same
    command goes on.

    - `spf-bench run --method core`
    - `spf-bench run --method spf --preset quick --limit 32`
    - `spf-bench run --method spf --set spf.norm=l2 --set stage2.steps=200`
    - `spf-bench run --method my_method.py:MyMethod`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.method import discover, get_method
    from spf_bench.plan import Run
    from spf_bench.progress import Bars
    from spf_bench.run import execute
    from spf_bench.suite import get_suite
    from spf_bench.testset import load

    chosen = get_suite(suite)
    groups = {EVERY: tuple(discover().methods) if EVERY in method else (), CORE: CORE_METHODS}
    names = dict.fromkeys(name for asked in [*method, REFERENCE] for name in groups.get(asked, (asked,)))
    found = {name: get_method(name).with_changes(changes or () if name != REFERENCE else ()) for name in names}
    frozen = load(testset or chosen.testset)
    budget, where = chosen.preset(preset), pick_device(device)
    set_threads(threads)
    asked = [Run(name, found[name], chosen, frozen, limit, budget, seed, runs, where) for name in found]
    with Bars(err) as bars:
        for one in asked:
            execute(one, bars)
    _after_run(asked)


def _after_run(asked: "list[Run]") -> None:
    """Show the runs beside those they may be compared with."""
    from spf_bench.table import build, collect
    from spf_bench.table_formats import render

    runs, mine = asked[0].runs, {one.folder.name for one in asked}
    tables = [table for table in build(collect(runs)) if mine & {row.record.run for row in table.rows}]
    typer.echo(render(tables, Format.text))
    for one in asked:
        out.print(f"record  {escape(str(one.folder / 'record.json'))}", soft_wrap=True)
    out.print("again   spf-bench table" + ("" if runs == Path("runs") else f" --runs {escape(str(runs))}"))


@app.command()
def table(
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV or LaTeX.")] = Format.text,
    runs: Runs = Path("runs"),
    by: Annotated[By | None, typer.Option(help="One table for each category of target.")] = None,
    intervals: Annotated[Interval, typer.Option(help="Print 95 % intervals as half width or range.")] = Interval.half,
    published: Annotated[bool, typer.Option("--published", help="Also print the paper's figures, apart.")] = False,
) -> None:
    """Print every finished run below a folder, side by side where they may be compared.

    Runs of other suites, test sets, n or sampling stand in tables of their own. The best of the methods that compete
    is marked; the original portrait and methods that have not responded (!) never compete.

    - `spf-bench table --by category`
    - `spf-bench table --runs reports --format md`
    """
    from spf_bench.table import build, collect
    from spf_bench.table_formats import render, render_published

    typer.echo(render(build(collect(runs), by_category=by is not None), kind, intervals), nl=False)
    if published:
        typer.echo("\n" + render_published(kind), nl=False)


@app.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List what there is to choose from, with its source."""
    {Kind.methods: _list_methods, Kind.metrics: _list_metrics, Kind.testsets: _list_testsets}[kind]()


def _list_methods() -> None:
    from spf_bench.method import discover

    found = discover()
    rows = [(m.name, m.title, "trains" if m.trains else "", m.source) for m in found.methods.values()]
    show(("method", "title", "", "source"), rows)
    for name, reason in found.broken.items():
        err.print(f"[yellow]{name}[/] cannot be loaded: {escape(reason)}")


def _list_metrics() -> None:
    from spf_bench.catalogue import catalogue
    from spf_bench.table_formats import heading

    rows = [(m.key, heading(m.title, m.higher_is_better), m.group, m.source, m.comparable) for m in catalogue()]
    show(("metric", "title", "group", "source", "comparable with published figures"), rows)


def _list_testsets() -> None:
    from spf_bench import testset

    rows = []
    for one in map(testset.load, testset.available()):
        categories = ", ".join(f"{c.label} {n}" for c, n in testset.counts(one.triples).items())
        rows.append((one.name, str(len(one.triples)), one.sha256[:12], categories))
    show(("test set", "triples", "sha256", "categories"), rows)


@app.command()
def doctor(runs: Runs = Path("runs"), suite: Annotated[str, typer.Option(help="Suite to look at.")] = "world") -> None:
    """Look at everything a run needs; exit 1 with the command that mends it if something is missing."""
    from spf_bench.doctor import State, examine

    findings = examine(runs, suite)
    marks = {State.ok: "[green]ok[/]", State.note: "[yellow]note[/]", State.blocks: "[bold red]blocks[/]"}
    show(("", "what", "found", "fix"), [(marks[f.state], f.subject, escape(f.detail), escape(f.fix)) for f in findings])
    if any(finding.state is State.blocks for finding in findings):
        raise typer.Exit(1)


cli_plugins.install(app, {"show": show_app, "world": world})


def main() -> None:
    """Run the command line; what the ``spf-bench`` script calls."""
    app()


if __name__ == "__main__":
    main()
