"""Where does the time of `spf-bench run --method spf` go, and how near is it to what this processor can do?

    python -m benchmarks.main_job [--repeats 3] [--threads 1 2]

One batch of every stage of the portrait world's default budget, times the batches that the stage has: the whole job
takes longer by loading, encoding and scoring. Seconds on the wall, so the machine has to be quiet. The UNet's forward
pass is set beside one convolution and one matrix product of its own sizes, in operations a second; a step of stage 2
is split by what the processor does in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Case, Found, Timing, alternate, options, tell
from benchmarks.training_parts import Networks
from spf_bench.environment import quiet
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import origin
from spf_bench.originals.frozen import thaw
from spf_bench.run.generate import BATCH, noise
from spf_bench.suite import get_suite
from spf_bench.testset import TestSet, load
from spf_train.config import PRESETS, TrainConfig
from spf_train.contrast import ContrastTarget
from spf_train.data import Batch
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.stages import NaiveStage, Stage

ORIGINALS, FIRST, SECOND, PORTRAITS = "originals", "stage 1", "stage 2", "portraits"
FORWARD, CONVOLUTION, PRODUCT = "UNet, forward", "one convolution", "one matrix product"
KINDS = {
    "convolutions": ("conv",),
    "matrix products": ("aten::addmm", "aten::mm", "aten::bmm"),
    "attention": ("attention",),
    "norms": ("norm",),
}
"""Operators of torch by a part of their name, of the first kind that fits."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    quiet()
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.repeats, asked.threads = 1, [1]
    tell(__doc__, asked, measure(asked))


def measure(asked: argparse.Namespace) -> Found:
    """Seconds of every stage by threads, and the operations a second of the first number of threads."""
    stages, rates = batches(asked.quick), kernels(2 if asked.quick else BATCH)
    before, spent = torch.get_num_threads(), dict[int, dict[str, Timing]]()
    warm_up = 0 if asked.quick else 1
    for threads in asked.threads:
        torch.set_num_threads(threads)
        spent[threads] = alternate({name: case for name, (case, _) in stages.items()}, asked.repeats, warm_up)
        if threads == asked.threads[0]:
            speeds = alternate({name: case for name, (case, _) in rates.items()}, asked.repeats, warm_up)
    torch.set_num_threads(before)
    seconds = {
        threads: {name: min(timing.wall) * stages[name][1] for name, timing in found.items()}
        for threads, found in spent.items()
    }
    giga = {name: rates[name][1] / min(timing.wall) / 1e9 for name, timing in speeds.items()}
    first = seconds[asked.threads[0]]
    rows = [
        (name, f"{first[name] / sum(first.values()):.0%}", *(f"{found[name]:.0f}" for found in seconds.values()))
        for name in stages
    ]
    rows.append(("together", "100%", *(f"{sum(found.values()):.0f}" for found in seconds.values())))
    kinds = shares(stages[SECOND][0])
    split = ", ".join(f"{kind} {share:.0%}" for kind, share in kinds.items())
    notes = (*(f"{name}: {rate:.0f} Gflop/s" for name, rate in giga.items()), f"a step of {SECOND}: {split}")
    timings = [timing.facts() for found in spent.values() for timing in found.values()]
    figures = {"seconds": seconds, "gflops": giga, "kinds": kinds, "timings": timings}
    return Found(("", "share", *(f"s, threads: {n}" for n in asked.threads)), rows, figures, notes)


def batches(quick: bool) -> dict[str, tuple[Case, float]]:
    """One batch of each stage, and how many of them the stage has."""
    suite, config = get_suite("world"), PRESETS["world"]
    assert config.stage1 is not None and config.stage2 is not None
    testset = load(suite.testset)
    backbone = Backbone.from_folder(suite.pipeline, suite.sampling)
    if quick:
        backbone.sampling = replace(backbone.sampling, steps=1)
    size = 2 if quick else BATCH
    triples = testset.triples[:size]

    def portraits() -> Tensor:
        return backbone.render(backbone.encode([triple.prompt for triple in triples]), noise(backbone, triples))

    sampled = len(testset.triples) / size
    first, second = (2, 2) if quick else (config.stage1.batch, config.stage2.batch)
    return {
        ORIGINALS: (partial(taken, testset, len(triples)), sampled),
        FIRST: (step_of(naive(), first, config.stage1.caption_dropout), config.stage1.steps or 0),
        SECOND: (step_of(spf(config), second, config.stage2.caption_dropout), config.stage2.steps or 0),
        PORTRAITS: (portraits, sampled),
    }


def taken(testset: TestSet, n: int) -> None:
    """Take a batch of originals from those that the test set was frozen with."""
    facts = origin(get_suite("world").pipeline, testset, get_suite("world").sampling, BATCH, "cpu")
    with TemporaryDirectory() as folder:
        if thaw(testset, facts, testset.triples[:n], Path(folder)) != n:
            raise SystemExit("the originals of the test set are of another base model or sampling")


def naive() -> tuple[Stage, Networks]:
    """Stage 1 of the default budget."""
    networks = Networks.world("cpu")
    return NaiveStage(networks.unet, networks.diffusion), networks


def spf(config: TrainConfig) -> tuple[Stage, Networks]:
    """Stage 2 of the default budget."""
    assert config.stage2 is not None
    networks, first = Networks.world("cpu"), Networks.world("cpu").unet
    enhancement = ResponseEnhancement(networks.vae, networks.clip, config.spf)
    contrast = ContrastTarget(first, config.spf.contrast_scale) if config.spf.diff_target == "contrast" else None
    parts = (networks.unet, networks.reference, enhancement, networks.diffusion, config.spf)
    return DualPathStage(*parts, config.stage2.trainable, contrast=contrast), networks


def step_of(made: tuple[Stage, Networks], size: int, dropout: float) -> Case:
    """A forward and backward pass of a stage over a batch in which some captions are dropped."""
    stage, networks = made
    whole: Batch = networks.batch(size)
    batch = replace(whole, dropped=torch.arange(size) < round(dropout * size))
    return partial(_step, stage, batch)


def _step(stage: Stage, batch: Batch) -> None:
    loss, _ = stage.loss(batch)
    loss.backward()
    for weight in stage.trainable().values():
        weight.grad = None


def kernels(size: int) -> dict[str, tuple[Case, float]]:
    """The UNet's forward pass without gradient, and its two commonest kernels alone, with their operations."""
    networks = Networks.world("cpu")
    batch, width = networks.batch(2 * size), networks.unet.config.block_out_channels[0]
    side = networks.unet.config.sample_size
    image = torch.randn(2 * size, width, side, side).to(memory_format=torch.channels_last)
    filters = torch.randn(width, width, 3, 3).to(memory_format=torch.channels_last)
    rows, weights = torch.randn(2 * size * side**2, 4 * width), torch.randn(width, 4 * width)
    calls: dict[str, Callable[[], Any]] = {
        FORWARD: lambda: networks.unet(batch.x0, batch.t, batch.complete),
        CONVOLUTION: lambda: conv2d(image, filters, padding=1),
        PRODUCT: lambda: linear(rows, weights),
    }
    return {name: (torch.inference_mode()(call), operations(call)) for name, call in calls.items()}


def shares(case: Case) -> dict[str, float]:
    """The share of each kind of operator in a case, by the processor's seconds; the rest last."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        case()
    spent = dict.fromkeys([*KINDS, "the rest"], 0.0)
    for event in profiler.key_averages():
        fits = (kind for kind, parts in KINDS.items() if any(part in event.key for part in parts))
        spent[next(fits, "the rest")] += event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in spent.items()}


def operations(call: Callable[[], Any]) -> float:
    """Floating-point operations of a call, a multiplication and an addition being two."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
