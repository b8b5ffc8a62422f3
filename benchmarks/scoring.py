"""Is one pass over the images faster than the field's tools one after another, with equal numbers?

    python -m benchmarks.scoring [--pairs 16] [--pixels 256] [--points 8] [--repeats 3]

All eight columns of the paper's table on the CPU, by networks of the real kinds with random weights that both sides
share. Scored are two methods on the same originals: the second finds their features stored. A package that is not
installed leaves its column out on both sides. `--points 32` prompts as segment-anything does unasked. On a GPU,
`python -m benchmarks.gpu_scoring` measures full sizes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scoring_tools as tools
from benchmarks.measure import Found, Timing, options, ratio, taken, tell, timed
from benchmarks.scoring_columns import Side, columns
from benchmarks.scoring_networks import write_pairs
from spf_bench.metrics.base import Metric, SetMetric
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.scoring.one_pass import Scores, score


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, compare the numbers, print, write."""
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--pixels", type=int, default=256, help="side of the images")
    parser.add_argument("--points", type=int, default=8, help="side of the grid that prompts Segment Anything")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.pairs, asked.pixels, asked.points, asked.repeats = 2, 64, 2, 1
    with tempfile.TemporaryDirectory() as name:
        sides, left_out = columns(Path(name), asked.points, asked.quick)
        found = compare(sides, Path(name), asked)
    notes = tuple(f"left out: {column}, for {why}" for column, why in left_out.items())
    tell(__doc__, asked, Found(found.head, found.rows, found.figures, (*found.notes, *notes)))


def compare(sides: Sequence[Side], folder: Path, asked: argparse.Namespace) -> Found:
    """Time both sides in turns on two methods; raises AssertionError where a number differs."""
    methods = [write_pairs(folder, asked.pairs, asked.pixels, method) for method in (0, 1)]
    metrics = [metric for metric, _ in sides]
    spent: dict[str, list[tuple[float, float]]] = {}
    apart: dict[str, float] = {}

    def take(name: str, do: Callable[[], Any]) -> Any:
        kept: list[Any] = []
        spent.setdefault(name, []).append(timed(lambda: kept.append(do())))
        return kept[0]

    for turn in range(asked.repeats):
        for which, pairs in (("first", methods[0]), ("second", methods[1])):
            store = FeatureStore(folder / f"features{turn}")
            ours = take(f"ours, {which} method", partial(score, pairs, metrics, store, tools.BATCH))
            for metric, tool in sides:
                seen = take(tool.column, partial(tool.run, pairs))
                apart[tool.column] = max(apart.get(tool.column, 0.0), _difference(ours, metric, tool, seen))
    return _told(sides, {name: taken(times) for name, times in spent.items()}, apart)


def _difference(ours: Scores, metric: Metric | SetMetric, tool: tools.Tool, seen: Any) -> float:
    if isinstance(metric, SetMetric):
        mine = metric.compare(*(ours.features[f"{metric.key}.{side}"] for side in ("original", "custom"))).value
    else:
        mine = float(np.nanmean(ours.table[tool.column]))
    theirs = tool.number(seen)
    assert abs(mine - theirs) <= tool.tolerance * max(1.0, abs(theirs)), (tool.column, mine, theirs)
    return abs(mine - theirs)


def _told(sides: Sequence[Side], spent: dict[str, Timing], apart: dict[str, float]) -> Found:
    field = sum(spent[tool.column].seconds() for _, tool in sides)
    ours = {which: spent[f"ours, {which} method"] for which in ("first", "second")}
    rows = [
        (f"{metric.title}: {tool.title}", f"{spent[tool.column].seconds():.2f}", "", f"{apart[tool.column]:.1e}")
        for metric, tool in sides
    ]
    rows.append(("the field's tools, one after another", f"{field:.2f}", "1.00x", ""))
    rows += [(f"ours, {w} method", f"{t.seconds():.2f}", ratio(field, t.seconds()), "") for w, t in ours.items()]
    figures = {
        "seconds": {name: timing.facts() for name, timing in spent.items()},
        "field": round(field, 3),
        "ratio": {which: round(field / timing.seconds(), 3) for which, timing in ours.items()},
        "difference": apart,
    }
    notes = ("seconds of the processor, median of the repeats; ratio: how much faster than the field's tools",)
    return Found(("column", "seconds", "ratio", "numbers differ by"), rows, figures, notes)


if __name__ == "__main__":
    main()
