"""``spf-bench run``: the line from training to record, for one method or many."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import Changes, Device, Limit, Preset, Runs, Seed, Suite, TestSet, Threads
from spf_bench.cli.paper import AllowPickle, Also, Base, Precision, Trainset, WeightsDir, refuse_elsewhere
from spf_bench.errors import UserError, quoted

if TYPE_CHECKING:
    from spf_bench.run.plan import Run

EVERY = "all"
CORE = "core"
CORE_METHODS = ("prompt_only", "naive", "spf")  # the question of the paper in three rows, beside the original portrait
REFERENCE = "original"  # scored in every run: without it nobody can tell whether a method has responded at all


class Asked(StrEnum):
    """What is asked of a method on each triple: the names of ``spf_bench.tracks.Track``."""

    triples = "triples"
    retention = "retention"
    sequence = "sequence"


class On(StrEnum):
    """Whose weights a method that trains none can sample with."""

    base = "base"
    naive = "naive"


def run(
    context: typer.Context,
    method: Annotated[
        list[str],
        typer.Option(
            help="A name from `list methods`, path.py:Class, core (prompt_only, naive, spf) or all; may be given again."
        ),
    ],
    suite: Suite = "world",
    testset: TestSet = None,
    limit: Limit = None,
    track: Annotated[
        Asked,
        typer.Option(
            help="triples: base and target; retention: the base text alone after fine-tuning; "
            "sequence: targets replaced and added on the same base text and noise."
        ),
    ] = Asked.triples,
    preset: Preset = "default",
    changes: Changes = None,
    on: Annotated[
        On | None, typer.Option(help="Magnet on the original model or the naively tuned one; short for --set on=....")
    ] = None,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Train nothing: run with this folder of `spf-bench train`, or any pipeline or UNet of diffusers.",
            metavar="DIR",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    device: Device = None,
    threads: Threads = None,
    base: Base = None,
    trainset: Trainset = None,
    weights_dir: WeightsDir = None,
    allow_pickle: AllowPickle = False,
    also: Also = None,
    precision: Precision = None,
) -> None:
    """Train a method where it needs training, generate its portraits, score them, and write the record.

    The original portraits are scored beside it. What is done is never done again: stop it with Ctrl-C, and the same
    command goes on. A method trained for one track is not trained again for another. On many GPUs, which sample and
    score together: `accelerate launch -m spf_bench.cli run ...`

    - `spf-bench run --method core`
    - `spf-bench run --method spf --preset quick --limit 32`
    - `spf-bench run --method spf --set spf.norm=l2 --set stage2.steps=200`
    - `spf-bench run --method magnet --on naive`
    - `spf-bench run --method spf --checkpoint runs/train/spf-paper`
    - `spf-bench run --method core --track retention`
    - `spf-bench run --method my_method.py:MyMethod`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.method import discover, get_method
    from spf_bench.originals.built import as_built
    from spf_bench.progress import bars_of
    from spf_bench.run.execute import execute
    from spf_bench.run.given import Given
    from spf_bench.run.plan import Run
    from spf_bench.run.preflight import check_settings
    from spf_bench.share import current
    from spf_bench.suite import get_suite
    from spf_bench.testset import load
    from spf_bench.tracks import Track

    chosen = get_suite(suite)
    refuse_elsewhere(suite, context)
    groups = {EVERY: tuple(discover().methods) if EVERY in method else (), CORE: CORE_METHODS}
    names = dict.fromkeys(name for asked in [*method, REFERENCE] for name in groups.get(asked, (asked,)))
    settings = [*(changes or ()), *([f"on={on}"] if on else [])]
    found = {name: get_method(name).with_changes(settings if name != REFERENCE else ()) for name in names}
    frozen = load(testset or chosen.testset)
    chosen = as_built(chosen, frozen)
    budget, where, kind = chosen.preset(preset), pick_device(device), Track(track)
    set_threads(threads)
    share = current(where)
    own = share.device or where
    if checkpoint is not None:
        _refuse_training([name for name in found if name != REFERENCE], changes, preset, seed)
    given = {name: Given.of(checkpoint, found[name], chosen) for name in found if checkpoint and name != REFERENCE}
    asked = [
        Run(name, found[name], chosen, frozen, limit, budget, seed, runs, own, track=kind, given=given.get(name))
        for name in found
    ]
    check_settings(asked)
    with bars_of(share, err) as bars:
        for one in asked:
            execute(one, bars, share)
    if share.main:
        _after(asked)


def _refuse_training(names: list[str], changes: list[str] | None, preset: str, seed: int) -> None:
    """Raise UserError where options say how to train what is trained already, or nobody knows who shall load it."""
    if len(names) != 1:
        why = f"{', '.join(names) or REFERENCE} cannot all be its method"
        raise UserError("a checkpoint is one method's", why, "give one --method that trains")
    asked = {"--set": bool(changes), "--preset": preset != "default", "--seed": bool(seed)}
    if wrong := [option for option, given in asked.items() if given]:
        why = f"{', '.join(wrong)} would say how to train it, and it is trained"
        raise UserError("the checkpoint stays as it is", why, f"leave {', '.join(wrong)} out")


def _after(asked: "list[Run]") -> None:
    """Show the runs beside those they may be compared with."""
    from spf_bench.table.formats import render
    from spf_bench.table.layout import Format
    from spf_bench.table.model import build, collect

    runs, mine = asked[0].runs, {one.folder.name for one in asked}
    tables = [table for table in build(collect(runs)) if mine & {row.record.run for row in table.rows}]
    typer.echo(render(tables, Format.text))
    for one in asked:
        out.print(f"record  {escape(str(one.folder / 'record.json'))}", soft_wrap=True)
    out.print("again   spf-bench table" + ("" if runs == Path("runs") else f" --runs {escape(quoted(runs))}"))
