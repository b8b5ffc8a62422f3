"""After how many training steps does a UNet that torch.compile made pay for its compilation?

    python -m benchmarks.compiled [--batch 32] [--repeats 5] [--device cuda]

Without a GPU the portrait world's UNet; with one Stable Diffusion 1.5's architecture with random weights at 512 px.
Forward and backward pass of one batch, by the UNet as it is and by the compiled one, which on a CPU needs a C++
compiler. What was compiled for earlier runs is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.measure import Found, alternate, options, ratio, tell, timed
from benchmarks.training_parts import Networks
from spf_bench.environment import quiet
from spf_train.data import Batch

AS_IT_IS, COMPILED = "as it is", "compiled"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    quiet()
    parser = options(__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.batch, asked.repeats = 1, 1
    torch.set_num_threads(asked.threads)
    found = measure(asked.device, asked.batch, asked.repeats, "eager" if asked.quick else "inductor")
    tell(__doc__, asked, found, asked.device)


def measure(device: str, size: int, repeats: int, backend: str) -> Found:
    """Seconds of a batch either way, of the first compiled one, and the batches that even it out."""
    networks = Networks.sd15(device) if device.startswith("cuda") else Networks.world(device)
    batch = networks.batch(size)
    unet: Any = networks.unet.requires_grad_(True)
    with torch._inductor.config.patch(force_disable_caches=True):
        made: Any = torch.compile(unet, backend=backend)
        first, _ = timed(partial(step, made, batch), device)
    cases = {AS_IT_IS: partial(step, unet, batch), COMPILED: partial(step, made, batch)}
    seconds = {name: timing.seconds(device) for name, timing in alternate(cases, repeats, 1, device).items()}
    gained = seconds[AS_IT_IS] - seconds[COMPILED]
    pays = math.ceil(first / gained) if gained > 0 else None
    rows = [(name, f"{spent:.3f}", ratio(seconds[AS_IT_IS], spent)) for name, spent in seconds.items()]
    note = f"first compiled batch: {first:.0f} s; " + (f"paid for after {pays} batches" if pays else "it never pays")
    return Found(("UNet", "s a batch", "ratio"), rows, {"seconds": seconds, "first": first, "pays": pays}, (note,))


def step(unet: Any, batch: Batch) -> None:
    """Forward and backward pass."""
    output = unet(batch.x0, batch.t, batch.complete).sample
    output.square().mean().backward()
    for weight in unet.parameters():
        weight.grad = None


if __name__ == "__main__":
    main()
