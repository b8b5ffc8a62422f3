"""The command that builds training sets."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import LARGEST_BATCH, LARGEST_SEED, Device, Suite, Threads, finite, new_folder
from spf_bench.cli.paper import AllowPickle
from spf_bench.errors import quoted

if TYPE_CHECKING:
    from spf_bench.trainset.card import Figures

trainset = typer.Typer(no_args_is_help=True, help="Build training sets.")
PAINT, TEXTS, FILTERS = "Images", "Texts", "Filters"


@trainset.callback()
def about() -> None:
    """Build training sets."""


class Format(StrEnum):
    """How a set is written."""

    imagefolder = "imagefolder"
    webdataset = "webdataset"


class Kind(StrEnum):
    """File types of images."""

    png = "png"
    jpg = "jpg"


@trainset.command()
def build(
    to: Annotated[Path, typer.Option(help="Folder of the new set.", metavar="DIR", callback=new_folder)],
    candidates: Annotated[
        int, typer.Option(min=1, max=10**8, help="Portraits generated, before filtering.", metavar="N")
    ] = 1000,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoint that paints: folder, .safetensors file or Hub id; repeatable.",
            metavar="ID_OR_PATH",
            rich_help_panel=PAINT,
        ),
    ] = None,
    allow_pickle: AllowPickle = False,
    suite: Suite = "world",
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Another seed, another set.")] = 0,
    format: Annotated[Format, typer.Option(help="Folder with metadata.jsonl, or tars.")] = Format.imagefolder,
    scheduler: Annotated[
        str | None, typer.Option(help="dpmsolver++2m or ddim; by default the suite's.", rich_help_panel=PAINT)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Denoising steps.", rich_help_panel=PAINT)] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Guidance scale.", callback=finite, rich_help_panel=PAINT)
    ] = None,
    negative: Annotated[str | None, typer.Option(help="Negative prompt.", rich_help_panel=PAINT)] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, float16 or bfloat16; by default the suite's.", rich_help_panel=PAINT)
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of stored images; by default as painted.", rich_help_panel=PAINT)
    ] = None,
    images: Annotated[Kind, typer.Option(help="File type; JPEG is of quality 95.", rich_help_panel=PAINT)] = Kind.png,
    batch: Annotated[
        int, typer.Option(min=1, max=LARGEST_BATCH, help="Images painted together.", rich_help_panel=PAINT)
    ] = 10,
    captioner: Annotated[
        str | None,
        typer.Option(
            help="Image-to-text model of transformers' for the base texts: folder or Hub id; by default the grammar's.",
            metavar="ID_OR_PATH",
            rich_help_panel=TEXTS,
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            help="CLIP of the match filter: folder or Hub id, e.g. FLIP-dataset/FLIP-base-16; by default the suite's.",
            metavar="ID_OR_PATH",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    match_top: Annotated[
        float,
        typer.Option(
            callback=finite, help="Share that the match filter keeps; 1 switches it off.", rich_help_panel=FILTERS
        ),
    ] = 0.3,
    hps_drop: Annotated[
        float | None,
        typer.Option(
            help="Share that HPS drops of what matches, 0.2 by default; 0: off.",
            callback=finite,
            rich_help_panel=FILTERS,
        ),
    ] = None,
    hps_min: Annotated[
        float | None, typer.Option(help="Or: least HPS kept.", callback=finite, rich_help_panel=FILTERS)
    ] = None,
    reward_drop: Annotated[
        float | None, typer.Option(help="As --hps-drop, of ImageReward.", callback=finite, rich_help_panel=FILTERS)
    ] = None,
    reward_min: Annotated[
        float | None, typer.Option(help="Or: least ImageReward kept.", callback=finite, rich_help_panel=FILTERS)
    ] = None,
    overall: Annotated[
        bool, typer.Option("--overall", help="Let categories compete with each other.", rich_help_panel=FILTERS)
    ] = False,
    precision: Annotated[
        str, typer.Option(help="What captioner and judges compute in: float32 or bfloat16.")
    ] = "float32",
    shard: Annotated[str | None, typer.Option(help="Do only the I-th of N parts.", metavar="I/N")] = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Generate portraits with any checkpoints, caption them, keep the best, write them as a data set with a card.

    Stopped, killed or cut off: the same command goes on. Other filters on the same images take seconds to minutes, as
    `DIR.work` keeps what was made. On many GPUs:

    - `accelerate launch -m spf_bench.cli trainset build --to DIR --suite paper --candidates 1000000`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.progress import bars_of
    from spf_bench.share import current
    from spf_bench.suite import get_suite
    from spf_bench.trainset.build import Build
    from spf_bench.trainset.grammars import for_suite
    from spf_bench.trainset.request import Wishes, canvas, rules
    from spf_bench.trainset.sources import find
    from spf_bench.trainset.spec import Spec

    chosen, where = get_suite(suite), pick_device(device)
    wishes = Wishes(scheduler, steps, guidance, negative, dtype, precision, size, images.value, batch)
    painting = canvas(chosen, wishes)
    passing = rules(chosen, match_top, (hps_drop, hps_min), (reward_drop, reward_min), overall)
    sources = find(chosen, tuple(dict.fromkeys(model or ())), captioner, match, passing)
    set_threads(threads)
    share = current(where, shard)
    spec = Spec(to, for_suite(suite), sources, candidates, seed, painting, passing, format.value, where, precision)
    asked = Build(spec, share, batch)
    if asked.check():
        out.print(f"built already  {escape(str(to))}", soft_wrap=True)
        return
    with bars_of(share, err) as progress:
        figures = asked.execute(progress)
    if share.main:
        _report(to, spec.work, figures)


def _report(to: Path, work: Path, figures: "Figures | None") -> None:
    if figures is None:
        out.print("shard done, others are not yet: the same command, once they are, goes on")
        return
    out.print(f"built   {figures.kept:,} of {figures.total:,} candidates in {escape(str(to))}", soft_wrap=True)
    out.print(f"card    {escape(str(to / 'README.md'))}", soft_wrap=True)
    out.print(f"use     spf-bench train --data {escape(quoted(to))} --base-model ID_OR_PATH", soft_wrap=True)
    out.print(f"remove  {escape(str(work))} once no other filters are wanted", soft_wrap=True)
