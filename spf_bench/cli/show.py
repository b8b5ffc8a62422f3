"""The commands that draw what was made."""

from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli.console import out
from spf_bench.cli.options import picture
from spf_bench.triple import Category

show = typer.Typer(no_args_is_help=True, help="Draw what the runs made.")


@show.callback()
def about() -> None:
    """Draw what the runs made."""


@show.command()
def portraits(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.", metavar="DIR")] = Path("runs"),
    n: Annotated[int, typer.Option("-n", min=1, help="Triples to draw.")] = 8,
    category: Annotated[Category | None, typer.Option(help="Only triples of this category.")] = None,
    to: Annotated[Path, typer.Option(help="The picture to write.", callback=picture)] = Path("portraits.png"),
) -> None:
    """Draw the same triples as every method made them, the original portraits on top.

    - `spf-bench show portraits`
    - `spf-bench show portraits --category accessories -n 12 --to accessories.png`
    """
    from spf_bench.gallery import draw
    from spf_bench.table.model import collect

    out.print(f"picture  {draw(collect(runs), to, n, category)}")
