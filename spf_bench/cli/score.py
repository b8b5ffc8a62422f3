"""``spf-bench score``: images that anybody made, scored and put beside others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import LARGEST_BATCH, Device, Suite, Threads
from spf_bench.cli.paper import Also, WeightsDir, refuse_elsewhere


def score(
    context: typer.Context,
    originals: Annotated[Path, typer.Option(help="Original portraits, files ID.png.", metavar="DIR")],
    customised: Annotated[Path, typer.Option(help="The method's portraits, same names.", metavar="DIR")],
    captions: Annotated[
        Path,
        typer.Option(
            help="CSV or JSONL with id or file_name, base, target; category and phrases if known.", metavar="FILE"
        ),
    ],
    name: Annotated[str | None, typer.Option(help="The method's name in tables; by default its folder's.")] = None,
    suite: Suite = "world",
    metrics: Annotated[
        str | None, typer.Option(help="Score only these, by their keys from `list metrics`.", metavar="KEY,...")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Score only the first N rows of the captions.", metavar="N")] = None,
    category: Annotated[str | None, typer.Option(help="What rows without a category belong to.")] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="A finished run whose table these join: you vouch that they were sampled alike.", metavar="RUN"
        ),
    ] = None,
    out_: Annotated[Path, typer.Option("--out", help="Folder of runs that gets the record.", metavar="DIR")] = Path(
        "runs"
    ),
    batch: Annotated[
        int, typer.Option(min=1, max=LARGEST_BATCH, help="Pairs per pass; changes no score.", metavar="N")
    ] = 32,
    dtype: Annotated[
        str | None, typer.Option("--dtype", "--precision", help="What the judges compute in: float32 or bfloat16.")
    ] = None,
    device: Device = None,
    threads: Threads = None,
    weights_dir: WeightsDir = None,
    also: Also = None,
) -> None:
    """Score images that any method made, without running anything else.

    Images are paired by id. All are looked at first, and everything wrong with them is listed at once. The original
    portraits are scored beside them, as in every run. Stop it with Ctrl-C, and the same command goes on. On many GPUs:
    `accelerate launch -m spf_bench.cli score ...`

    - `spf-bench score --originals theirs/originals --customised theirs/images --captions theirs/captions.csv`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.progress import bars_of
    from spf_bench.scoring.folders import score_folders
    from spf_bench.share import current
    from spf_bench.table.formats import render
    from spf_bench.table.layout import Format
    from spf_bench.table.model import build, collect

    refuse_elsewhere(suite, context)
    set_threads(threads)
    keys = [key.strip() for key in (metrics or "").split(",") if key.strip()]
    share = current(pick_device(device))
    with bars_of(share, err) as bars:
        record = score_folders(
            originals, customised, captions, name=name, out=out_, suite=suite, metrics=keys, batch=batch, dtype=dtype,
            device=device, limit=limit, category=category, run=beside, progress=bars,
            say=_warn if share.main else lambda text: None, share=share,
        )  # fmt: skip
    if not share.main:
        return
    tables = [t for t in build(collect(out_)) if record.run in {row.record.run for row in t.rows}]
    typer.echo(render(tables, Format.text))
    out.print(f"record  {escape(str(out_ / record.testset.name / record.run / 'record.json'))}", soft_wrap=True)


def _warn(text: str) -> None:
    err.print(f"[yellow]warning:[/] {escape(text)}")
