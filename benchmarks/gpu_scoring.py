"""How long does scoring 5,000 pairs at 512 px take, all columns of the paper suite, and in which network?

    python -m benchmarks.gpu_scoring [--pairs 5000] [--pixels 512] [--batch 32] [--precision bfloat16] [--distinct 64]

Networks of full size with random weights. The images are `--distinct` PNG files read again and again under other
hashes, so that each of the pairs is decoded and looked at; what was seen of originals is stored as in a run, and the
second method finds it there. Faces are found by a stand-in, whose seconds say nothing. Without a GPU only `--quick`
is worth the wait: thin networks.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Found, options, tell
from benchmarks.scoring_full import Suite
from benchmarks.scoring_networks import write_pairs
from benchmarks.training_parts import Clock
from spf_bench.metrics.base import SetMetric
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.scoring.one_pass import Pair, score

TARGET = 900.0  # seconds for 5,000 pairs on one H200
REST = "reading, hashing, storing"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--distinct", type=int, default=64, help="images drawn; the pairs are these, each one shifted")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.pairs, asked.pixels, asked.batch, asked.distinct, asked.precision = 1, 64, 1, 1, "float32"
    with tempfile.TemporaryDirectory() as name:
        tell(__doc__, asked, measure(Path(name), asked), asked.device)


def measure(folder: Path, asked: argparse.Namespace) -> Found:
    """Seconds of two methods on the same originals, by network."""
    suite = Suite(asked.device, getattr(torch, asked.precision), folder, thin=asked.quick)
    metrics = suite.metrics()
    clock = Clock(asked.device)
    for encoder in {e.name: e for metric in metrics for e in metric.encoders}.values():
        clock.watch(encoder, "encode", encoder.name)
    for metric in metrics:
        clock.watch(metric, "features" if isinstance(metric, SetMetric) else "score", f"{metric.title}, beside that")
    spent: dict[str, dict[str, float]] = {}
    for which in ("first method", "second method"):
        pairs = shifted(folder, asked, which == "second method")
        clock.seconds.clear()
        started = clock.now()
        with clock.measure(REST):
            score(pairs, metrics, FeatureStore(folder / "features"), asked.batch)
        spent[which] = {**clock.seconds, "in all": clock.now() - started}
    return _told(spent, suite, asked)


def shifted(folder: Path, asked: argparse.Namespace, second: bool) -> list[Pair]:
    """Pairs of images made from a few by turning their pixels round by some rows: every file is another image."""
    few, made = write_pairs(folder / "drawn", asked.distinct, asked.pixels, int(second)), []
    for number in range(asked.pairs):
        source, rows = few[number % len(few)], number // len(few)
        paths = [folder / side / f"{number:05}.png" for side in ("originals", f"method{int(second)}")]
        for path, drawn in zip(paths, (source.original, source.custom), strict=True):
            path.parent.mkdir(exist_ok=True)
            if not path.is_file():
                with Image.open(drawn) as picture:
                    turned = np.roll(np.asarray(picture), rows, axis=0)
                Image.fromarray(turned).save(path, compress_level=1)
        made.append(Pair(replace(source.triple, id=f"pair-{number:05}", seed=number), *paths))
    return made


def _told(spent: dict[str, dict[str, float]], suite: Suite, asked: argparse.Namespace) -> Found:
    first, second = spent.values()
    names = sorted(first, key=lambda name: -first[name])
    rows = [(n, f"{first[n]:.1f}", f"{second.get(n, 0.0):.1f}", _share(first, n)) for n in names if n != "in all"]
    rows.append(("in all", f"{first['in all']:.1f}", f"{second['in all']:.1f}", ""))
    per_5000 = {which: times["in all"] * 5000 / asked.pairs for which, times in spent.items()}
    notes = [f"5,000 pairs at this rate: {', '.join(f'{w} {s / 60:.1f} min' for w, s in per_5000.items())}"]
    notes += [f"left out: {column}, for {why}" for column, why in suite.left_out.items()]
    rounded = {which: {name: round(s, 3) for name, s in times.items()} for which, times in spent.items()}
    figures = {"seconds": rounded, "seconds_of_5000": per_5000, "target": TARGET, "left_out": suite.left_out}
    head = (f"{asked.pairs:,} pairs, {asked.precision}", "first, s", "second, s", "share of the first")
    return Found(head, rows, figures, tuple(notes))


def _share(times: dict[str, float], name: str) -> str:
    return f"{times[name] / times['in all']:.0%}"


if __name__ == "__main__":
    main()
