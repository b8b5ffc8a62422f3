"""What does a training step cost, stage 1 and 2, against a plain implementation and the paper's Table 2?

    python -m benchmarks.gpu_train [--batch 2] [--steps 10] [--pixels 512] [--device cuda|cpu] ...

With a GPU: Stable Diffusion 1.5's architecture with random weights at 512 px, CLIP ViT-L/14. Without one: the portrait
world's networks at 64 px, where only the ratios mean anything.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import keep, options
from benchmarks.plain_stage import PlainStage
from benchmarks.training_parts import Clock, Networks, saved_bytes
from spf_train.config import SPFConfig
from spf_train.data import Batch
from spf_train.dual_path import DualPathStage
from spf_train.stages import NaiveStage, Stage

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Table 2 of arXiv:2504.00396v2 (V100): seconds per iteration, GB.
PAPER = {
    ("stage 1", "fp32"): (2.28, 23),
    ("stage 1", "fp16"): (1.92, 17),
    ("stage 2", "fp32"): (3.26, 28),
    ("stage 2", "fp16"): (2.10, 21),
}
MIB = 2**20
WARM_UP = 2  # steps, beside the one that counts what autograd saves
FULL, SMALL, WITHOUT = SPFConfig(), SPFConfig(enhance_decode="clip-size"), SPFConfig(w_enh=0.0)
WATCHED = {"predict": "response pass", "reference_path": "reference pass", "control_map": "control map"}
STAGES: dict[str, Callable[[Networks], Stage]] = {
    "stage 1": lambda networks: NaiveStage(networks.unet, networks.diffusion),
    "stage 2": lambda networks: networks.stage(DualPathStage, FULL),
    "stage 2, clip-size": lambda networks: networks.stage(DualPathStage, SMALL),
    "stage 2, no L_enh": lambda networks: networks.stage(DualPathStage, WITHOUT),
    "stage 2, plain": lambda networks: networks.stage(PlainStage, FULL),
}


class Step:
    """One optimiser step of a stage in a precision: trained weights in fp32, autocast around the forward pass."""

    def __init__(self, stage: Stage, precision: str, clock: Clock) -> None:
        self.stage, self.clock, self.dtype = stage, clock, DTYPES[precision]
        self.weights = list(stage.trainable().values())
        self.optimizer = torch.optim.AdamW(self.weights, 1e-5, fused=True)
        self.scaler = torch.amp.GradScaler(clock.device, enabled=precision == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """Around the forward pass."""
        half = self.dtype != torch.float32
        return torch.autocast(self.clock.device, self.dtype) if half else nullcontext()

    def forward(self, batch: Batch) -> Tensor:
        """The loss."""
        with self.autocast(), self.clock.measure("the rest"):
            return self.stage.loss(batch)[0]

    def __call__(self, batch: Batch) -> None:
        loss = self.forward(batch)
        with self.clock.measure("backward pass"):
            self.scaler.scale(loss).backward()
        with self.clock.measure("optimiser"):
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad(set_to_none=True)


def measure(networks: Networks, name: str, precision: str, batch: Batch, steps: int) -> dict[str, Any]:
    """Median seconds, peak and saved MiB of a step, and each part's share of its time."""
    stage, clock = STAGES[name](networks), Clock(networks.device)
    watch(stage, clock)
    step, cuda = Step(stage, precision, clock), networks.device.startswith("cuda")
    with saved_bytes() as kept:
        step(batch)
    weights = {weight.untyped_storage().data_ptr() for network in (networks.unet, networks.vae, networks.clip)
               for weight in network.parameters()}  # fmt: skip
    saved = sum(count for address, count in kept.items() if address not in weights)
    for _ in range(WARM_UP):
        step(batch)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    clock.seconds.clear()
    seconds = [timed(step, batch, clock) for _ in range(steps)]
    total = sum(clock.seconds.values())
    return {
        "stage": name,
        "precision": precision,
        "batch": len(batch),
        "seconds": statistics.median(seconds),
        "peak_mib": torch.cuda.max_memory_allocated() / MIB if cuda else None,
        "saved_mib": saved / MIB,
        "shares": {part: spent / total for part, spent in clock.seconds.items()},
    }


def watch(stage: Stage, clock: Clock) -> None:
    """Puts the clock around the parts of a stage; the plain one is one piece."""
    if isinstance(stage, PlainStage) or not isinstance(stage, DualPathStage):
        return
    for method, part in WATCHED.items():
        clock.watch(stage, method, part)
    clock.watch(stage, "layer_losses", "L_text and L_fine")
    clock.watch(stage.enhancement, "loss", "L_enh: decoder and CLIP")


def timed(step: Step, batch: Batch, clock: Clock) -> float:
    """Seconds of one step."""
    started = clock.now()
    step(batch)
    return clock.now() - started


def run(device: str, precisions: list[str], size: int, pixels: int | None, steps: int) -> list[dict[str, Any]]:
    """Every stage in every precision, in networks made anew for each precision."""
    rows = []
    for precision in precisions:
        networks = Networks.sd15(device) if device.startswith("cuda") else Networks.world(device)
        networks.frozen_to(DTYPES[precision])
        for name in STAGES:
            rows.append(measure(networks, name, precision, networks.batch(size, pixels), steps))
            print(line(rows[-1], rows), flush=True)
            gc.collect()
    return rows


def line(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """A row of the printed table, with the paper's figures and the ratio to the plain implementation."""
    published = None if row["peak_mib"] is None else PAPER.get((row["stage"], row["precision"]))  # no GPU: no seconds
    paper = f"{published[0]:.2f} s {published[1]} GB" if published else "-"
    peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
    name, seconds, saved = f"{row['stage']:20}{row['precision']:6}", row["seconds"], row["saved_mib"]
    cells = f"{name}{seconds:9.3f} s{peak:>10}{saved:11.0f}   {paper}"
    if row["stage"] != "stage 2, plain":
        return cells
    first, *second = (other for other in rows if other["precision"] == row["precision"] and other is not row)
    return "\n".join([cells, *(against(first, row, other) for other in second)])


def against(first: dict[str, Any], plain: dict[str, Any], ours: dict[str, Any]) -> str:
    """A step of stage 2 beside one of stage 1, and how much faster and smaller it is than the plain implementation."""
    memory = "peak_mib" if plain["peak_mib"] else "saved_mib"
    name, longer, faster = ours["stage"], ours["seconds"] / first["seconds"], plain["seconds"] / ours["seconds"]
    part = f"{memory} {ours[memory] / plain[memory]:.2f} of it"
    return f"  {name}: {longer:.2f}x stage 1; {faster:.2f}x as fast as plain, {part}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line, measures, prints, writes."""
    parser = options(__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precisions", nargs="+", choices=DTYPES)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pixels", type=int, help="side of the images; by default 512 with a GPU, 64 without")
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args(arguments)
    if given.quick:
        given.batch, given.steps = 1, 1
    cuda = given.device.startswith("cuda")
    where = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads: ratios only"
    print(f"{where}, torch {torch.__version__}, batch {given.batch}, {given.steps} steps")
    print(f"{'':20}{'':6}{'step':>11}{'peak MiB':>10}{'saved MiB':>11}   paper (V100)")
    precisions = given.precisions or (list(DTYPES) if cuda else ["fp32"])
    rows = run(given.device, precisions, given.batch, given.pixels, given.steps)
    for row in rows:
        shares = sorted(row["shares"].items(), key=lambda share: -share[1])
        print(f"{row['stage']} {row['precision']}: " + ", ".join(f"{part} {share:.0%}" for part, share in shares))
    keep(__doc__, given, {"rows": rows}, given.device)


if __name__ == "__main__":
    main()
