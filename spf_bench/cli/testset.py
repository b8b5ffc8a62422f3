"""The commands about test sets: build their originals, verify them, bring in one's own, hand them on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import DEFAULT_RUNS, LARGEST_BATCH, Device, Limit, Runs, Suite, Threads, folder, new_folder
from spf_bench.cli.paper import AllowPickle
from spf_bench.errors import quoted

if TYPE_CHECKING:
    from spf_bench.originals.verify import Place, Report

testset = typer.Typer(no_args_is_help=True, help="Build, verify, import and export test sets.")

Name = Annotated[str, typer.Argument(help="A name from `list testsets`, or a folder.", metavar="TESTSET")]
BaseModel = Annotated[
    str | None,
    typer.Option(help="Diffusers folder, Hub id, or .safetensors file; the suite's by default.", metavar="ID_OR_PATH"),
]


@testset.command()
def build(
    captions: Annotated[
        str | None, typer.Option(help="A test set by name or folder; by default the suite's.", metavar="TESTSET")
    ] = None,
    base_model: BaseModel = None,
    allow_pickle: AllowPickle = False,
    suite: Suite = "world",
    to: Annotated[
        Path | None,
        typer.Option(help="Folder of a test set that stands alone; by default the runs' cache.", callback=folder),
    ] = None,
    limit: Limit = None,
    batch: Annotated[
        int, typer.Option(min=1, max=LARGEST_BATCH, help="Images sampled together; needs --to.", metavar="N")
    ] = 32,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            "--dtype",
            help="What the networks compute in: float32, float16 or bfloat16; another than the suite's needs --to.",
            metavar="TYPE",
        ),
    ] = None,
    shard: Annotated[str | None, typer.Option(help="Make only the I-th of N parts.", metavar="I/N")] = None,
    runs: Runs = DEFAULT_RUNS,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Make the original portraits of a test set, each from its base text and noise seed.

    Stopped with Ctrl-C, killed, or cut off: the same command goes on. On many GPUs, or machines that share a disk:

    - `accelerate launch -m spf_bench.cli testset build --captions spf-5k-v1 --suite paper --to spf-5k-rv4`
    - `spf-bench testset build --captions spf-5k-v1 --suite paper --to spf-5k-rv4 --shard 1/8`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from spf_bench.originals.build import Build
    from spf_bench.progress import bars_of
    from spf_bench.share import current
    from spf_bench.suite import get_suite
    from spf_bench.testset import load
    from spf_bench.weights.base import base_path

    chosen, where = get_suite(suite).sampled_in(precision), pick_device(device)
    frozen = load(captions or chosen.testset)
    pipeline = base_path(base_model) if base_model else chosen.pipeline
    set_threads(threads)
    share = current(where, shard)
    asked = Build(frozen, chosen, base_model, pipeline, to, runs, limit, where, batch, share)
    asked.check()
    with bars_of(share, err) as progress:
        whole = asked.execute(progress)
    if share.main:
        _report_build(asked.folder, to, len(frozen.head(limit)), whole)


def _report_build(folder: Path, to: Path | None, n: int, whole: bool) -> None:
    if not whole:
        out.print(f"shard done, others are not yet: the last one writes the manifest\nfolder  {escape(str(folder))}")
        return
    out.print(f"built   {_count(n, 'original')} in {escape(str(folder))}", soft_wrap=True)
    out.print(f"verify  spf-bench testset verify {escape(quoted(to or folder))}", soft_wrap=True)
    if to is not None:
        out.print(f"use     spf-bench run --testset {escape(quoted(to))}", soft_wrap=True)


@testset.command()
def freeze(
    name: Name,
    originals: Annotated[
        Path, typer.Option(help="Folder of its originals, as `testset build` made them.", metavar="DIR")
    ],
) -> None:
    """Put the originals of a test set into one file beside its captions, for everybody to compare with.

    Runs of the same base model and sampling take them from there and sample none; others make their own.

    - `spf-bench testset build --captions world-v1 --to built`
    - `spf-bench testset freeze world-v1 --originals built/originals`
    """
    from spf_bench.originals.frozen import freeze
    from spf_bench.testset import load

    frozen = load(name)
    path = freeze(frozen, originals)
    out.print(f"frozen  {_count(len(frozen.triples), 'original')} in {escape(str(path))}", soft_wrap=True)


@testset.command()
def verify(
    name: Name,
    repair: Annotated[bool, typer.Option("--repair", help="Make what is damaged again.")] = False,
    base_model: BaseModel = None,
    allow_pickle: AllowPickle = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Look for missing, truncated and altered files; exit 1 if there are any.

    With `--repair` they are made again, and put in place only if they come out as they were.
    """
    from spf_bench.originals.frozen import about_frozen
    from spf_bench.originals.verify import examine, locate

    place = locate(name)
    found = examine(place)
    _print_report(found)
    if not found.sound and repair:
        _repair(place, found, base_model, device, threads)
        found = examine(locate(name))
    if not found.sound:
        _advise(place, name, found)
        raise typer.Exit(1)
    images = _count(found.checked, "image") if found.checked else "captions alone"
    frozen = "captions and the originals they were frozen with"
    told = frozen if place.images is None and about_frozen(place.folder) else images
    out.print(f"sound  {escape(str(place.folder))}: {told}", soft_wrap=True)


def _print_report(found: "Report") -> None:
    for problem in found.files:
        out.print(f"[red]damaged[/]  {escape(problem.subject)}  {escape(problem.why)}", soft_wrap=True)
    for triple, state in found.images:
        out.print(f"[red]{state}[/]  {triple.id}.png", soft_wrap=True)
    for strange in found.strange:
        err.print(f"[yellow]note[/] {escape(ascii(strange))} is none of its files")


def _advise(place: "Place", name: str, found: "Report") -> None:
    """Say how each kind of damage is mended."""
    ours = place.about is not None and not any(problem.subject.startswith("originals") for problem in found.files)
    repair = f"spf-bench testset verify {quoted(name)} --repair"
    fixes = [repair] if ours else [problem.fix for problem in found.files] or ["restore its files"]
    err.print(f"[bold red]{len(found.files) + len(found.images):,} damaged[/]")
    for fix in dict.fromkeys(fixes):
        err.print(f"  fix  {escape(fix)}")


def _repair(
    place: "Place", found: "Report", base_model: str | None, device: str | None, threads: int | None
) -> None:  # fmt: skip
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()
    from spf_bench.originals.repair import Repair, restore_captions
    from spf_bench.originals.verify import examine
    from spf_bench.progress import Bars

    set_threads(threads)
    if found.files:
        restore_captions(place, found)
        out.print(f"restored  {escape(', '.join(problem.subject for problem in found.files))}")
        found = examine(place)
    if found.images:
        job = Repair.of(place, base_model, pick_device(device))
        with Bars(err) as bars:
            mended = job.execute(found, bars)
        out.print(f"repaired  {_count(mended, 'image')}")


@testset.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A .csv with a header, or a .jsonl.", metavar="FILE")],
    to: Annotated[
        Path, typer.Option(help="Folder of the new test set; its last part is its name.", callback=new_folder)
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images that rows name; by default the file's.", metavar="DIR")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Of the rows that name none, e.g. clothing.")] = None,
) -> None:
    """Make a test set of your own captions, and images where you have some; all of it or nothing.

    Columns: base and target; category; id, seed, phrases and image may be left out. See docs/testset.md.
    """
    from spf_bench.intake.write import import_captions

    n = import_captions(source, to, images, category, lambda text: err.print(f"[yellow]note[/] {escape(text)}"))
    out.print(f"imported  {_count(n, 'triple')} into {escape(str(to))}", soft_wrap=True)
    out.print(f"use       spf-bench run --testset {escape(quoted(to))}", soft_wrap=True)


@testset.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder to write, free or empty.", callback=new_folder)],
) -> None:
    """Write a built test set as an image folder, ready for `datasets` and the Hugging Face Hub."""
    from spf_bench.originals.export import export as write
    from spf_bench.originals.verify import locate

    n = write(locate(name), to)
    out.print(f"exported  {_count(n, 'original')} to {escape(str(to))}", soft_wrap=True)
    out.print(f"upload    hf upload OWNER/NAME {escape(quoted(to))} --repo-type dataset", soft_wrap=True)


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"
