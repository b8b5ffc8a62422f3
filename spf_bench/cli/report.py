"""``spf-bench report`` and ``spf-bench figure``: what people look at, made of finished runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli import options
from spf_bench.cli.options import DEFAULT_RUNS, ManyRuns, PerSeed, Runs, SeedRows, finite


class Which(StrEnum):
    """The paper's figures that can be drawn."""

    attention = "2"
    control_map = "3"
    supervision = "5"
    variants = "7"
    study = "8"
    retention = "9"
    weights = "13"
    sequence = "16"


PAGE = "report.html"


def _page(value: Path) -> Path:
    """Return the page's file, where its folder was given too; refuse one that cannot be written."""
    return Path(options.files(value / PAGE if value.is_dir() else value))


def report(
    runs: ManyRuns = None,
    to: Annotated[Path, typer.Option(help="The HTML file to write.", metavar="FILE", callback=_page)] = Path(PAGE),
    testset: Annotated[
        str | None, typer.Option(help="Name or folder of the runs' test set, where it is not a built-in one.")
    ] = None,
    seeds: SeedRows = PerSeed.each,
    max_mb: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="Size of the file; portraits shrink to fit.", callback=finite)
    ] = 15.0,
) -> None:
    """Write one HTML page of all runs below some folders: tables, trade-off, portraits, disagreements, origins.

    It is about the runs that stand in the largest table; others get a table of their own. The file needs no network
    and no second file. With --seeds mean its portraits are those of each method's first seed.

    - `spf-bench report`
    - `spf-bench report --runs reports/leaderboard --seeds mean --to leaderboard.html`
    """
    from spf_bench.cli.console import err, out
    from spf_bench.report import write
    from spf_bench.table.model import collect

    entries = collect(*(runs or [DEFAULT_RUNS]))
    with err.status(f"{len(entries)} runs: intervals, portraits, page"):
        made = write(entries, to, testset, int(max_mb * 1e6), seeds is PerSeed.mean)
    out.print(f"page  {made.path}  ({made.size / 1e6:.1f} MB)", soft_wrap=True)
    if made.shown == 0:
        out.print("      without portraits: no run here holds its images")
    elif made.shown < made.of:
        out.print(f"      portraits of the first {made.shown} of {made.of} triples; --max-mb for more")


def figure(
    number: Annotated[Which, typer.Argument(help="The paper's number of the figure.", metavar="NUMBER")],
    runs: Runs = DEFAULT_RUNS,
    to: Annotated[
        Path, typer.Option(help="Folder for the PNG and the PDF.", metavar="DIR", callback=options.folder)
    ] = Path("figures"),
    triples: Annotated[
        list[str] | None, typer.Option("--triple", help="Id of a triple to draw; may be given again.", metavar="ID")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many triples where none is named.")] = 5,
    method: Annotated[str, typer.Option(help="Fig. 7: the method whose variants are drawn.")] = "spf",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Fig. 5: trace folders; 8: a tally; 13: a sweep.json. By default below --runs.", metavar="PATH"
        ),
    ] = None,
    testset: Annotated[
        str | None, typer.Option(help="Name or folder of the runs' test set, where it is not a built-in one.")
    ] = None,
) -> None:
    """Draw one of the paper's figures from your own runs, as PNG and PDF.

    - 2   where models look for the target text (after `spf-bench show attention`)
    - 3   the control map at work (after `spf-bench show sfcm`)
    - 5   response and preference over training steps (after `spf-bench train --trace`)
    - 7   a method without one of its parts (after `spf-bench ablate --table 1`)
    - 8   the user study (`--data tally.json`, the votes)
    - 9   base texts alone after fine-tuning (after `spf-bench run --track retention`)
    - 13  FID over the weight of each loss (after `spf-bench sweep`)
    - 16  targets replaced and added (after `spf-bench run --track sequence`)
    """
    from spf_bench.cli.console import out
    from spf_bench.figures import Ask, draw

    ask = Ask(runs, tuple(data or ()), tuple(triples or ()), n, method, testset)
    for path in draw(number.value, ask, to):
        out.print(f"figure  {path}", soft_wrap=True)
