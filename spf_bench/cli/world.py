"""The commands about the embedded portrait world."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli.console import err, out, show
from spf_bench.cli.options import LARGEST_SEED, folder, picture

world = typer.Typer(no_args_is_help=True, help="Build, check and look at the embedded portrait world.")


class Distribution(StrEnum):
    """Whose portraits ``show`` shows; functions of ``spf_bench.world.distributions``."""

    base = "base"
    custom = "custom"
    judge = "judge"
    held_out = "held_out"


@world.command()
def build(
    work: Annotated[
        Path, typer.Option(help="Folder for checkpoints; the same folder resumes.", callback=folder)
    ] = Path("runs/world"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    only: Annotated[list[str] | None, typer.Option(help="Train only this stage; may be given again.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads; by default all cores.")] = None,
) -> None:
    """Train every model of the world from nothing: tokenizer, CLIP, VAE, UNet and the judges.

    Takes about an hour and a half on two cores; the package already ships the result.
    """
    from spf_bench.environment import quiet
    from spf_bench.progress import Bars

    quiet()
    from spf_bench.world.build import build

    with Bars(err) as bars:
        where = build(work, device, only or (), threads, bars.report)
    out.print(f"weights  {where}")


@world.command()
def check(
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Portraits to generate for the read-back figures.")
    ] = 512,
    card: Annotated[bool, typer.Option(help="Write the figures into the weights' card.")] = True,
) -> None:
    """Measure the world's models on held-out portraits; exit 1 if one is below its floor."""
    from spf_bench.environment import quiet
    from spf_bench.progress import Bars

    quiet()
    from spf_bench.world.check import check, write_card

    with Bars(err) as bars:
        measures = check(limit=limit, progress=bars.report)
    rows = []
    for m in measures:
        floor = "" if m.floor is None else f"{m.floor:g}"
        rows.append((m.name, f"{m.value:.4g}", floor, "" if m.holds else "[bold red]below[/]", str(m.n), m.note))
    show(("measure", "value", "floor", "", "n", "note"), rows)
    if card:
        out.print(f"card  {write_card(measures)}")
    if not all(measure.holds for measure in measures):
        raise typer.Exit(1)


@world.command()
def calibrate(
    n: Annotated[int, typer.Option(min=64, max=100_000, help="Portraits on each ladder.")] = 96,
    card: Annotated[bool, typer.Option(help="Write the table into the weights' card.")] = True,
) -> None:
    """Measure how far each metric follows the truth while portraits are damaged step by step; exit 1 if one is blind.

    Portraits are drawn with attributes that are known exactly, then made wrong, mixed, blurred and covered with noise.
    """
    from spf_bench.environment import quiet
    from spf_bench.progress import Bars

    quiet()
    from spf_bench.metrics import for_suite
    from spf_bench.world.calibration import calibrate
    from spf_bench.world.calibration.card import blind, failures, table, write

    with Bars(err) as bars:
        found = calibrate(for_suite("world"), n, progress=bars.report)
    typer.echo(table(found))
    for one in failures(found):
        out.print(f"[yellow]{one.column} does not follow {one.ladder}: {one.rho:.2f}[/]")
    if card:
        out.print(f"card  {write(found, n)}")
    if blind(found):
        err.print(f"[bold red]blind:[/] {', '.join(blind(found))}")
        raise typer.Exit(1)


@world.command("show")
def show_(
    distribution: Annotated[Distribution, typer.Argument(help="Whose portraits to draw.")] = Distribution.custom,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 24,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Which ones.")] = 0,
    to: Annotated[Path, typer.Option(help="The picture to write.", callback=picture)] = Path("world.png"),
) -> None:
    """Draw portraits of one distribution side by side into a picture, and print their captions."""
    from spf_bench.contact_sheet import contact_sheet
    from spf_bench.files.store import write_png
    from spf_bench.world import distributions
    from spf_bench.world.portrait import render

    samples = getattr(distributions, distribution)(n, seed)
    write_png(to, contact_sheet([render(sample.portrait, 128) for sample in samples]))
    show(("", "caption"), [(str(i), sample.caption) for i, sample in enumerate(samples, start=1)])
    out.print(f"picture  {to}")


@world.command()
def testset(
    name: Annotated[str, typer.Argument(help="world-v1 or world-val.")],
    to: Annotated[Path, typer.Option(help="Folder that gets the test set's folder.", callback=folder)] = Path(
        "testsets"
    ),
) -> None:
    """Draw a test set of the world and freeze it: triples, card and checksums."""
    from spf_bench.world.testset import freeze

    out.print(f"frozen  {freeze(name, to)}")
