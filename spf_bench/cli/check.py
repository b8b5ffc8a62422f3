"""The command that tests whether a method or metric keeps its contract."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import Changes, Device, Suite, Threads


def check(
    address: Annotated[str, typer.Argument(help="A method or metric by name, or path.py:Class.", metavar="NAME")],
    suite: Suite = "world",
    changes: Changes = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Test whether a method or metric keeps its contract; exit 1 if not.

    A method is trained with next to nothing, saved, loaded and unloaded, and draws four triples in several ways; all
    in a folder of its own that is deleted again. A metric measures four pairs of images.

    - `spf-bench check spf`
    - `spf-bench check my_method.py:MyMethod`
    - `spf-bench check my_metric.py:MyMetric`
    """
    from tempfile import TemporaryDirectory

    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.conformance import conform
    from spf_bench.conformance.check import Outcome
    from spf_bench.progress import Bars
    from spf_bench.suite import get_suite

    set_threads(threads)
    chosen, where = get_suite(suite), pick_device(device)
    with TemporaryDirectory(prefix="spf-bench-check-") as folder, Bars(err) as bars:
        tested = conform(address, chosen, Path(folder), changes or (), where, bars)
        results = list(tested.results)
    colours = {Outcome.passed: "green", Outcome.failed: "bold red", Outcome.skipped: "dim"}
    out.print(f"{tested.title}, suite {chosen.name}, {where}")
    for result in results:
        mark = f"[{colours[result.outcome]}]{result.outcome:<6}[/]"
        out.print(f"  {mark}  {result.name:<14}  {escape(result.detail)}", soft_wrap=True)
        if result.fix:
            out.print(f"  {'':<6}  {'fix':>14}  {escape(result.fix)}", soft_wrap=True)
    counts = [sum(result.outcome is outcome for result in results) for outcome in Outcome]
    out.print(f"{counts[0]} kept, {counts[1]} broken, {counts[2]} not looked at")
    if counts[1]:
        raise typer.Exit(1)
