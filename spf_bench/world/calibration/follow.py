"""Spearman's rank correlation between what a metric says and how near the image is to the truth."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spf_bench.metrics.base import Batch, Metric, SetMetric
from spf_bench.metrics.features import pair
from spf_bench.stats import resamples
from spf_bench.world.calibration.ladders import LADDERS, Case, Rung, cases, drawing
from spf_bench.world.pool import Progress

FLOOR = 0.3  # below it a correlation is commonly called weak
DRAWS = 2000
SET = 16  # portraits behind one value of a set metric
BATCH = 64

_KEEPS = ("wrong attributes", "another portrait")
_DAMAGE = ("blur", "noise")
_COMES = ("target", "other target")
LADDERS_OF: dict[str, tuple[str, ...]] = {
    "fid": (*_KEEPS, *_DAMAGE),
    "lpips": (*_KEEPS, *_DAMAGE),
    "id": ("wrong person", "another portrait"),
    "clip_i": _KEEPS,
    "seg_cons": _KEEPS,
    "kept": _KEEPS,
    "clip_t": _COMES,
    "clip_d": _COMES,
    "clip_t_full": (*_COMES, "wrong attributes"),
    "hit_rate": _COMES,
    "hps": (*_COMES, "wrong attributes", *_DAMAGE),
    "mps": (*_COMES, "wrong attributes", *_DAMAGE),
    "mps_win": (*_COMES, "wrong attributes", *_DAMAGE),
}
"""By column: the ladders whose truth it claims to see."""


@dataclass(frozen=True)
class Follow:
    """How one column follows the truth of one ladder."""

    column: str
    """Key of a metric, or one of its secondary columns."""
    ladder: str
    """Which ladder."""
    rho: float
    """Spearman's correlation over all images, positive where better scores are nearer to the truth; 0 if constant."""
    low: float
    """Lower end of its 95 % interval, by a bootstrap over portraits."""
    high: float
    """Upper end."""
    within: float
    """Mean over portraits of the correlation along one portrait's own steps."""
    n: int
    """Values behind it; a set metric has one for each step of 16 portraits."""
    missing: int
    """Images that could not be measured."""

    @property
    def claimed(self) -> bool:
        """Whether the metric claims to see this truth."""
        return self.ladder in LADDERS_OF.get(self.column, ())

    @property
    def holds(self) -> bool:
        """Whether it moves with the truth: correlated beyond chance, and not weakly; True where it claims nothing."""
        return not self.claimed or (self.rho >= FLOOR and self.low > 0)


def calibrate(
    metrics: Sequence[Metric | SetMetric], n: int = 128, seed: int = 21, progress: Progress = lambda *_: None
) -> list[Follow]:
    """Climb every ladder with ``n`` portraits and return how each column of ``metrics`` follows it.

    Args:
        metrics: Of the world suite.
        n: Portraits, at least 2.
        seed: Which portraits, and which changes.
        progress: Called with (what, done, total).
    """
    drawn = cases(n, seed)
    found = []
    for place, ladder in enumerate(LADDERS):
        frame = _climb(ladder, drawn, metrics, seed)
        columns = _columns(metrics, list(frame.columns))
        found += [_follow(column, ladder, frame, up) for column, up in columns.items()]
        found += [_follow(m.key, ladder, _sets(m, frame), m.higher_is_better) for m in metrics if _is_set(m)]
        progress("ladders", place + 1, len(LADDERS))
    order = {key: i for i, metric in enumerate(metrics) for key in (metric.key, *getattr(metric, "secondary", ()))}
    return sorted(found, key=lambda one: order[one.column])


def spearman(truth: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Return the rank correlation of two vectors [n]; 0 where either is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(values) for values in (truth, score))
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _climb(ladder: str, drawn: Sequence[Case], metrics: Sequence[Metric | SetMetric], seed: int) -> pd.DataFrame:
    """Return a row per image: portrait, truth, each column, and of each set metric the two vectors."""
    steps = [
        (number, case, rung)
        for number, case in enumerate(drawn)
        for rung in LADDERS[ladder](case, random.Random(f"{ladder}-{seed}-{number}"), drawn)
    ]
    frames = [pd.DataFrame(_measure(part, metrics)) for part in _batches(steps)]
    frame = pd.concat(frames, ignore_index=True)
    frame.insert(0, "portrait", [number for number, _, _ in steps])
    frame.insert(1, "truth", [rung.truth for _, _, rung in steps])
    return frame


Step = tuple[int, Case, Rung]


def _batches(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    for start in range(0, len(steps), BATCH):
        yield steps[start : start + BATCH]


@torch.inference_mode()
def _measure(steps: Sequence[Step], metrics: Sequence[Metric | SetMetric]) -> dict[str, Any]:
    sides = pair([drawing(case.plain) for _, case, _ in steps], [rung.image for _, _, rung in steps])
    batch = Batch([case.triple for _, case, _ in steps], *sides)
    columns: dict[str, Any] = {}
    for metric in metrics:
        if isinstance(metric, SetMetric):
            for side, images in zip(("original", "custom"), sides, strict=True):
                columns[f"{metric.key}.{side}"] = list(metric.features(images).float().cpu().numpy())
        else:
            columns |= {key: values.double().cpu().numpy() for key, values in metric.score(batch).items()}
    return columns


def _is_set(metric: Metric | SetMetric) -> bool:
    return isinstance(metric, SetMetric)


def _columns(metrics: Sequence[Metric | SetMetric], known: Sequence[str]) -> Mapping[str, bool]:
    """Return the columns that are scores of single images, and whether more is better."""
    return {
        key: metric.higher_is_better
        for metric in metrics
        if isinstance(metric, Metric)
        for key in (metric.key, *metric.secondary)
        if key in known
    }


def _sets(metric: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row per step of ``SET`` portraits with the metric's value, the sets in the place of portraits."""
    rows = []
    for (part, truth), group in frame.groupby([frame["portrait"] // SET, "truth"]):
        original, custom = (
            torch.from_numpy(np.stack(group[f"{metric.key}.{side}"].tolist())) for side in ("original", "custom")
        )
        rows.append({"portrait": part, "truth": truth, metric.key: metric.compare(original, custom).value})
    return pd.DataFrame(rows)


def _follow(column: str, ladder: str, frame: pd.DataFrame, up: bool) -> Follow:
    known = frame[frame[column].notna()]
    truth, score = known["truth"].to_numpy(float), known[column].to_numpy(float) * (1 if up else -1)
    groups = [np.flatnonzero(known["portrait"].to_numpy() == one) for one in known["portrait"].unique()]
    low, high = _interval(truth, score, groups)
    within = [spearman(truth[rows], score[rows]) for rows in groups if len(set(truth[rows])) > 1]
    mean = float(np.mean(within)) if within else 0.0
    missing = len(frame) - len(known)
    return Follow(column, ladder, spearman(truth, score), low, high, mean, len(known), missing)


def _interval(
    truth: NDArray[np.float64], score: NDArray[np.float64], groups: Sequence[NDArray[np.int64]]
) -> tuple[float, float]:
    """Return the 95 % interval of the correlation of the ranks, portraits drawn anew and ranks kept."""
    from scipy.stats import rankdata

    if not groups:
        return 0.0, 0.0
    x, y = (rankdata(values) / max(1, len(values)) for values in (truth, score))
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    sums = np.stack([terms[rows].sum(0) for rows in groups])
    drawn = np.concatenate([counts @ sums for counts in resamples(len(groups), DRAWS, seed=0)])
    n, sx, sy, sxx, syy, sxy = drawn.T
    spread = np.sqrt(np.maximum((n * sxx - sx**2) * (n * syy - sy**2), 0))
    rho = np.divide(n * sxy - sx * sy, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    low, high = np.percentile(rho, [2.5, 97.5])
    return float(low), float(high)
