"""Finished runs as the paper's suite would leave them, made of random scores: for what reads many of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from spf_bench import testset
from spf_bench.environment import Environment
from spf_bench.files.store import write_parquet
from spf_bench.record import SCORES, Column, MethodFacts, RunRecord, Score, TestSetFacts
from spf_bench.suite import Sampling
from spf_bench.triple import Category, Triple

KEYS = (
    ("fid", "fid_clean", "kid", "cmmd", "lpips", "psnr", "ssim", "structure", "id", "seg_cons", "clip_i"),
    ("clip_t", "clip_open"),
    ("hps", "mps", "image_reward"),
)
"""The paper suite's columns: preservation, responsiveness, overall."""
SETS = ("fid", "fid_clean", "kid", "cmmd")
"""Those of whole sets of images, which have no score per triple."""
PICTURES = 64
"""Distinct portraits; all others are further names of the same files."""


def write(root: Path, methods: int, triples: int, portraits: bool) -> Path:
    """Write a test set and the runs of `methods` methods on it, the first the original; returns the folder of runs.

    Args:
        root: Where to write.
        methods: How many runs.
        triples: In each of them.
        portraits: Whether the runs still hold their images, of 64 px.
    """
    asked = _triples(triples)
    testset.save(root / "testsets" / "many", asked, "# many\n")
    frozen = testset.load(str(root / "testsets" / "many"))
    files = _pictures(root / "pictures") if portraits else []
    for number in range(methods):
        _run(root / "runs", frozen, number, asked, files)
    return root / "runs"


def columns() -> list[Column]:
    """The headline columns."""
    groups = zip(("preservation", "responsiveness", "overall"), KEYS, strict=True)
    lower = {*SETS, "lpips", "structure"}
    return [Column(k, k, group, k not in lower, 3, "random", "no") for group, keys in groups for k in keys]


def _triples(n: int) -> list[Triple]:
    kinds = list(Category)
    return [
        Triple(f"many-{i:06}", f"a woman number {i}, red hair, smiling", f"with thing {i % 40}", kinds[i % 5], i,
               (f"a woman number {i}", "red hair", "smiling"))
        for i in range(n)
    ]  # fmt: skip


def _pictures(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(PICTURES)]
    for path in paths:
        coarse = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return paths


def _run(runs: Path, frozen: testset.TestSet, number: int, asked: Sequence[Triple], files: Sequence[Path]) -> None:
    name = "original" if number == 0 else f"method{number:03}"
    folder, frame = runs / f"{name}-run", _frame(asked, number)
    first = number == 0
    RunRecord(
        schema=1, run=folder.name, created="2026-01-01T00:00:00+00:00", command=f"spf-bench run --method {name}",
        method=MethodFacts(name, name.capitalize(), "random", {}, not first, first), suite="paper",
        testset=TestSetFacts(frozen.name, frozen.sha256, len(asked)), n=len(asked), limit=None,
        preset=None if first else "default", seed=None if first else 0, sampling=Sampling("ddim", 25, 7.0), batch=32,
        originals_sha256="b" * 64, images_sha256=f"{number:064}", scoring="d" * 12, columns=columns(),
        scores=_scores(frame), training={}, weights={"pipeline": "e" * 64}, seconds={"generate": 1.0},
        environment=Environment(None, None, "3.11", "Linux", "cpu", 1, {}),
    ).save(folder)  # fmt: skip
    write_parquet(folder / SCORES, frame)
    if files:
        (folder / "images").mkdir()
        for i, triple in enumerate(asked):
            os.link(files[(i + number) % len(files)], folder / "images" / f"{triple.id}.png")


def _frame(asked: Sequence[Triple], number: int) -> pd.DataFrame:
    draw = np.random.default_rng(number)
    keys = [column.key for column in columns() if column.key not in SETS]
    values = draw.normal(0.5 + 0.01 * (number % 7), 0.1, (len(asked), len(keys)))
    frame = pd.DataFrame(values, columns=keys, index=pd.Index([t.id for t in asked], name="id"))
    return frame.assign(category=[t.category.value for t in asked])


def _scores(frame: pd.DataFrame) -> dict[str, dict[str, Score]]:
    parts = {"all": frame, **{str(part): rows for part, rows in frame.groupby("category")}}
    return {part: {c.key: _score(rows, c.key) for c in columns()} for part, rows in parts.items()}


def _score(rows: pd.DataFrame, key: str) -> Score:
    values = rows.get(key, pd.Series([0.5] * len(rows)))
    mean, half = float(values.mean()), 1.96 * float(values.std()) / len(rows) ** 0.5
    return Score(mean, mean - half, mean + half, len(rows), 0, None)
