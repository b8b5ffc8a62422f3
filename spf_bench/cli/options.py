"""Options that several commands have, so that they are called and explained alike everywhere."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_RUNS = Path("runs")

Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs and their cache.", metavar="DIR")]
Suite = Annotated[str, typer.Option(help="Base model, training images and judges.")]
TestSet = Annotated[str | None, typer.Option(help="A name from `list testsets`; by default the suite's.")]
Limit = Annotated[int | None, typer.Option(help="Use only the first N triples.", metavar="N")]
Preset = Annotated[str, typer.Option(help="How much to train: quick or default.")]
Seed = Annotated[int, typer.Option(help="Seed of training data and training; test noise is frozen.")]
Seeds = Annotated[int, typer.Option(min=1, help="Train with this many seeds, 0 first.", metavar="N")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting of the method, e.g. spf.norm=l2; repeatable.", metavar="NAME=VALUE"),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; by default all cores.")]
