"""``spf-bench demo``: a page to try methods on any text."""

from ipaddress import ip_address
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import DEFAULT_RUNS, Changes, Device, Preset, Runs, Seed, Suite, Threads
from spf_bench.cli.paper import AllowPickle, Base, Trainset, WeightsDir, refuse_elsewhere

LOOPBACK = "127.0.0.1"


def demo(
    context: typer.Context,
    method: Annotated[
        list[str] | None,
        typer.Option(help="A name or path.py:Class, trained where it is not yet; by default all finished runs."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="Weights from a folder, as a UNet's or as a method's; repeatable.", metavar="[METHOD=]DIR"),
    ] = None,
    suite: Suite = "world",
    preset: Preset = "default",
    changes: Changes = None,
    seed: Seed = 0,
    runs: Runs = DEFAULT_RUNS,
    host: Annotated[
        str, typer.Option(help="Interface to listen on; any but the loopback lets others in, without a password.")
    ] = LOOPBACK,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="By default the first free one from 7860.")] = None,
    device: Device = None,
    threads: Threads = None,
    base: Base = None,
    trainset: Trainset = None,
    weights_dir: WeightsDir = None,
    allow_pickle: AllowPickle = False,
) -> None:
    """Serve a page that draws any base text, target text and seed: original and customised portraits side by side.

    - `spf-bench demo`
    - `spf-bench demo --method spf --method naive --preset quick`
    - `spf-bench demo --checkpoint spf=runs/mine --checkpoint portrait-unet/`
    - `spf-bench demo --suite paper --base models/sd15 --checkpoint spf=runs/mine`
    """
    from spf_bench.environment import pick_device, quiet, set_threads

    quiet()  # before the imports below bring in the model libraries, Gradio's among them
    from spf_bench.demo.page import build, gradio, serve

    gradio()  # before anything is trained
    from spf_bench.demo.cast import Cast
    from spf_bench.demo.hook import discover
    from spf_bench.demo.studio import Studio
    from spf_bench.models.backbone import Backbone
    from spf_bench.progress import Bars
    from spf_bench.suite import get_suite
    from spf_bench.testset import load

    chosen, where = get_suite(suite), pick_device(device)
    refuse_elsewhere(suite, context)
    set_threads(threads)
    frozen, looks = load(chosen.testset), discover()
    cast = Cast(chosen, frozen, chosen.preset(preset), seed, runs, where)
    actors = [cast.given(word) for word in checkpoint or ()]
    with Bars(err) as bars:
        actors += cast.asked(method or (), changes or (), bars)
        actors = actors or cast.recorded(_warn)
    for name, why in looks.broken.items():
        _warn(f"the overlay {name} cannot be loaded: {why}")
    studio = Studio(Backbone.from_folder(chosen.pipeline, chosen.sampling, where), actors, looks.found)
    page = build(studio, chosen.title, frozen.triples)
    if not _private(host):
        _warn(f"whoever reaches {host} can use this page: it asks for no password")
    address = serve(page, host, port, block=False)
    out.print(f"page     {address}\nmethods  {escape(', '.join(studio.actors))}\nstop     Ctrl-C", soft_wrap=True)
    page.block_thread()


def _private(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _warn(text: str) -> None:
    err.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)
