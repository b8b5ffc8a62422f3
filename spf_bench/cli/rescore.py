"""``spf-bench rescore``: finished runs brought up to today's metrics."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import DEFAULT_RUNS, Device, Runs, Threads
from spf_bench.cli.paper import Also, Base, Precision, WeightsDir
from spf_bench.errors import Problem, UserError


def rescore(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs; by default all below --runs.", metavar="RUN...")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    device: Device = None,
    threads: Threads = None,
    base: Base = None,
    weights_dir: WeightsDir = None,
    also: Also = None,
    precision: Precision = None,
) -> None:
    """Score finished runs again with today's metrics; nothing is trained or sampled.

    For runs made before a metric changed, whose records stand in a table of their own, or before one was added, which
    lack its column. A run needs its images and its original portraits; what cannot be scored is listed at the end, with
    the command that makes it anew. Runs that today's metrics have scored are left as they are, so a stopped command
    goes on when it is given again.

    - `spf-bench rescore`
    - `spf-bench rescore runs/world-v1/spf-1a2b3c4d`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.progress import Bars
    from spf_bench.run.rescore import rescore as again
    from spf_bench.table.model import collect

    set_threads(threads)
    found = [entry.folder for one in folders or [runs] for entry in collect(one)]
    problems, failed, renewed, where = list[Problem](), 0, 0, pick_device(device)
    with Bars(err) as bars:
        for folder in found:
            try:
                record = again(folder, runs, where, bars)
            except UserError as error:
                problems += _lines(folder, error)
                failed += 1
                continue
            renewed += record is not None
            if record is not None:
                out.print(f"scored  {escape(str(folder))}", soft_wrap=True)
    out.print(f"{renewed} of {len(found)} runs scored again, {len(found) - renewed - failed} were up to date")
    if problems:
        raise UserError(f"{failed} of {len(found)} runs were not scored", problems=problems)


def _lines(folder: Path, error: UserError) -> list[Problem]:
    """Return an error as lines of a longer list, its own list included."""
    why = error.what + (f": {error.why}" if error.why else "")
    return [Problem(folder.name, why, error.fix), *(Problem("", f"{p.subject} {p.why}", p.fix) for p in error.problems)]
