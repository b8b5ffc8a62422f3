"""How soon does training start on a data set: opened, hashed and encoded once, and found encoded the next time?

    python -m benchmarks.data_pipeline  # real shapes, 2,000 samples
    python -m benchmarks.data_pipeline --samples 230000 --latent 8 --width 8  # as many as the paper, narrow rows

Networks are replaced by ones that cost nothing: what is left is reading, decoding, hashing, tokenizing, writing and
mapping. How long the next run takes to start depends on the number of rows, not on their width: they are mapped.
"""

from __future__ import annotations

import io
import json
import random
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.measure import keep, options
from spf_train.data import Prepared
from spf_train.dataset import Dataset, open_dataset
from spf_train.identity import samples_digest
from spf_train.order import sample_order
from spf_train.prepare import prepare
from spf_train.single_file import load_tokenizer

T = TypeVar("T")

PHRASES = {
    "person": ("a woman", "a man", "a young woman", "an old man"),
    "hair": ("with long curly hair", "with short red hair", "with a grey ponytail", "bald"),
    "clothing": ("in a green sweater", "in a white linen shirt", "wearing a leather jacket"),
    "activity": ("playing a guitar", "reading a book", "looking into the camera", "laughing"),
    "background": ("with a red background", "in front of a brick wall", "in a park at dusk"),
}
TARGETS = ("blonde hair", "with round glasses", "pencil sketch style", "rosy cheeks", "with a red hat")


tokenizer = cache(load_tokenizer)


class FreeVae(nn.Module):
    """Stands for a VAE: a posterior of zeros."""

    def __init__(self, latent: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=dtype))
        self.latent, self.dtype, self.device = latent, dtype, torch.device("cpu")
        self.config = Config(scaling_factor=0.18215)

    def encode(self, images: torch.Tensor) -> Any:
        """The posterior of images [B, 3, H, W]."""
        zeros = torch.zeros(len(images), 4, self.latent, self.latent, dtype=self.dtype)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=zeros, std=zeros))


class Config(dict[str, Any]):
    """A diffusers config: keys that are attributes too."""

    __getattr__ = dict.__getitem__


class FreePipeline:
    """Stands for a StableDiffusionPipeline with the real tokenizer of SD 1.5."""

    def __init__(self, latent: int, width: int, side: int, dtype: torch.dtype) -> None:
        self.tokenizer = tokenizer()
        self.vae, self.width, self.dtype = FreeVae(latent, dtype), width, dtype
        self.text_encoder = FreeVae(1, dtype)
        self.unet = SimpleNamespace(config=SimpleNamespace(sample_size=side))
        self.vae_scale_factor = 1

    def encode_prompt(self, texts: list[str], *_: Any) -> tuple[torch.Tensor]:
        """Embeddings [N, 77, D] of texts."""
        return (torch.zeros(len(texts), 77, self.width, dtype=self.dtype),)


def write_samples(folder: Path, tars: Path, samples: int, side: int) -> None:
    """The same synthetic data set as a folder and as tars of 1,000 samples."""
    draw, rng = random.Random(0), np.random.default_rng(0)
    folder.mkdir()
    tars.mkdir()
    with (folder / "metadata.jsonl").open("w") as metadata:
        for first in range(0, samples, 1000):
            (folder / f"{first:06d}").mkdir()
            with tarfile.open(tars / f"{first:06d}.tar", "w") as tar:
                for number in range(first, min(first + 1000, samples)):
                    base = ", ".join(draw.choice(words) for words in PHRASES.values())
                    texts = {"base": f"{base}, number {number}", "target": draw.choice(TARGETS), "category": "any"}
                    image = _jpeg(rng, side)
                    name = f"{first:06d}/{number:06d}.jpg"
                    (folder / name).write_bytes(image)
                    metadata.write(json.dumps({"file_name": name, **texts}) + "\n")
                    _add(tar, f"{number:06d}.jpg", image)
                    _add(tar, f"{number:06d}.json", json.dumps(texts).encode())


def _jpeg(rng: np.random.Generator, side: int) -> bytes:
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((side, side)).save(file, "JPEG")
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def timed(what: str, times: dict[str, float], do: Callable[[], T]) -> T:
    """do(), its seconds printed and noted."""
    started = time.perf_counter()
    result = do()
    times[what] = round(time.perf_counter() - started, 2)
    print(f"{what:48} {times[what]:8.2f} s", flush=True)
    return result


def draw_batches(prepared: Prepared, batches: int, size: int) -> None:
    """Batches in the order of training."""
    for step in range(batches):
        prepared.batch(sample_order(0, step, size, len(prepared)), torch.Generator().manual_seed(step), 1000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the samples, runs every stage of the pipeline twice, and prints a table; --json keeps it."""
    parser = options(__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--side", type=int, default=64, help="pixels of the images")
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--width", type=int, default=768, help="of the text embeddings")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    args = parser.parse_args(arguments)
    if args.quick:
        args.samples, args.latent, args.width = 20, 8, 8
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, tars, cache = (Path(name) / part for part in ("folder", "tars", "cache"))
        pipe = FreePipeline(args.latent, args.width, args.side, getattr(torch, args.dtype))
        timed("write the samples", times, lambda: write_samples(folder, tars, args.samples, args.side))
        assert len(timed("open tars", times, lambda: open_dataset(tars))) == args.samples
        data = timed("open folder", times, lambda: open_dataset(folder))

        def start(data: Dataset) -> Prepared:
            return prepare(data, pipe, cache=cache)

        timed("first run: hash every image", times, lambda: samples_digest(data, cache))
        timed("first run: encode", times, lambda: start(data))
        again = timed("next run: open folder", times, lambda: open_dataset(folder))
        timed("next run: identity", times, lambda: samples_digest(again, cache))
        prepared = timed("next run: prepare", times, lambda: start(again))
        timed("next run: first batch of 64", times, lambda: draw_batches(prepared, 1, 64))
        timed("next run: 50 batches of 64", times, lambda: draw_batches(prepared, 50, 64))
        times["next run: start, in all"] = round(sum(s for w, s in times.items() if w in STARTING), 2)
        print(f"{'next run: start, in all':48} {times['next run: start, in all']:8.2f} s")
        size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"cache {size / 1e9:.2f} GB, peak memory {peak / 1e6:.2f} GB (mapped pages included)")
    keep(__doc__, args, {"seconds": times, "cache_bytes": size, "peak_kilobytes": peak})


STARTING = ("next run: open folder", "next run: identity", "next run: prepare", "next run: first batch of 64")

if __name__ == "__main__":
    main()
