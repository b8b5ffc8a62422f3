"""``spf-bench train``: SPF's two stages on your portraits and your model, or on the world's."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from spf_bench.cli.options import LARGEST_SEED, Changes, Device, Suite, Threads, finite, folder


def train(
    method: Annotated[str, typer.Option(help="spf: both stages; naive: stage 1 alone.")] = "spf",
    preset: Annotated[
        str | None,
        typer.Option(
            help="paper, paper-fp16, a100, world, world-quick (or quick); else paper, or world without --data."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with metadata.jsonl and images, or WebDataset tars.", metavar="DIR")
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Diffusers folder, Hub id, or .safetensors file.", metavar="ID_OR_PATH")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="CLIP of stage 2; by default CLIP ViT-L/14.", metavar="ID_OR_PATH")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the training and its result.", metavar="DIR", callback=folder)
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings over the preset.", metavar="FILE")] = None,
    changes: Changes = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed of data order, noise and, in the world, data.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first N samples.", metavar="N")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps encodings; by default below --out.", metavar="DIR", callback=folder),
    ] = None,
    max_skipped: Annotated[
        float,
        typer.Option(
            min=0, max=1, callback=finite, help="Share of unusable samples above which training does not start."
        ),
    ] = 0.01,
    strict: Annotated[bool, typer.Option("--strict", help="Do not start with any unusable sample.")] = False,
    prediction_type: Annotated[
        str | None, typer.Option(help="epsilon, v_prediction or sample, where the model does not say.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="At every checkpoint, score samples of validation triples (Fig. 5).")
    ] = False,
    trace_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two checkpoints, each traced.", metavar="N")
    ] = None,
    trace_limit: Annotated[int, typer.Option(min=1, help="Validation triples to sample.", metavar="N")] = 32,
    suite: Suite = "world",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Train SPF and write a diffusers pipeline, a single .safetensors file and a model card.

    Stopped with Ctrl-C, killed, or cut off: the same command goes on where it was. On many GPUs:
    `accelerate launch -m spf_bench.cli train ...`

    - `spf-bench train --data portraits --base-model realisticVisionV40.safetensors --out runs/mine`
    - `spf-bench train --preset a100 --set stage2.trainable=lora --data portraits --base-model runwayml/...`
    - `spf-bench train --preset quick --trace` (the embedded world)
    - `spf-bench train --trace --suite paper --data portraits --base-model realisticVisionV40.safetensors`
    """
    from spf_bench.environment import quiet, set_threads

    quiet()  # before the imports below bring in the model libraries
    from baselines.train import Report, first, settings, sources, tracer
    from baselines.training import for_users
    from spf_bench.cli.console import err
    from spf_bench.cli.console import out as printed
    from spf_bench.files.locks import hold
    from spf_bench.paper import Settings
    from spf_bench.progress import Bars, Silent
    from spf_bench.suite import get_suite
    from spf_train.train import train as train_stages

    if suite == "paper":  # its judges know whatever Stable Diffusion 1.x it is given
        Settings.keep(base_model, data)
    chosen, name = get_suite(suite), preset or ("world" if data is None and suite != "paper" else "paper")
    how = settings(chosen, method, name, config, changes or (), seed, trace_every)
    parts = first(sources(chosen, how, name, data, base_model, clip), limit)
    place = out or Path("runs") / "train" / f"{method}-{name}"
    main = os.environ.get("RANK", "0") == "0"  # of the processes that accelerate launched, one speaks
    set_threads(threads)
    with hold(place, err.print), Bars(err) if main else nullcontext(Silent()) as progress:
        watch = tracer(chosen, parts, place / "trace", trace_limit, device, progress) if trace else None
        with for_users():
            result = train_stages(
                how, parts.base_model, parts.clip if how.stage2 else None, parts.data, place,
                cache=cache, progress=Report(progress), on_checkpoint=None if watch is None else watch.add,
                device=device, max_skipped=0.0 if strict else max_skipped, prediction_type=prediction_type,
            )  # fmt: skip
    if main:
        printed.print(f"pipeline  {result}", soft_wrap=True)
    if main and watch is not None:
        printed.print(f"trace     {watch.folder / 'trace.png'}", soft_wrap=True)
