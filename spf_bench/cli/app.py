"""The command line: parse, call, print. Everything heavy is imported inside the command that needs it."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench import __version__
from spf_bench.cli import plugins
from spf_bench.cli.check import check
from spf_bench.cli.console import Commands, err, out, show
from spf_bench.cli.demo import demo
from spf_bench.cli.doctor import doctor
from spf_bench.cli.report import figure, report
from spf_bench.cli.rescore import rescore
from spf_bench.cli.run import run
from spf_bench.cli.score import score
from spf_bench.cli.show import show as show_app
from spf_bench.cli.study import study
from spf_bench.cli.table import table
from spf_bench.cli.testset import testset
from spf_bench.cli.trainset import trainset
from spf_bench.cli.weights import weights as weights_app
from spf_bench.cli.world import world

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
app.add_typer(show_app, name="show")
app.add_typer(weights_app, name="weights")
app.add_typer(testset, name="testset")
app.add_typer(trainset, name="trainset")
app.add_typer(study, name="study")
app.add_typer(world, name="world")


class Kind(StrEnum):
    """What ``list`` can list."""

    methods = "methods"
    metrics = "metrics"
    testsets = "testsets"


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


app.command()(run)
app.command()(score)
app.command()(rescore)
app.command()(table)
app.command()(report)
app.command()(figure)
app.command()(demo)


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
    from spf_bench.facts import facts
    from spf_bench.table.formats import heading

    found, broken = facts()
    rows = [(m.key, heading(m.title, m.higher_is_better), m.group, m.source, m.comparable) for m in found]
    show(("metric", "title", "group", "source", "comparable with published figures"), rows)
    for name, reason in broken.items():
        err.print(f"[yellow]{name}[/] cannot be loaded: {escape(reason)}")


def _list_testsets() -> None:
    from spf_bench import testset

    rows = []
    for one in map(testset.load, testset.available()):
        categories = ", ".join(f"{c.label} {n}" for c, n in testset.counts(one.triples).items())
        rows.append((one.name, str(len(one.triples)), one.sha256[:12], categories))
    show(("test set", "triples", "sha256", "categories"), rows)


app.command()(doctor)
app.command()(check)
plugins.install(app, {"show": show_app, "world": world})


def main() -> None:
    """Run the command line; what the ``spf-bench`` script calls."""
    app()
