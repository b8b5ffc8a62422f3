"""A finished benchmark made by hand: a test set with hostile captions, runs with portraits, scores, logs and maps."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from spf_bench import overlays, testset
from spf_bench.environment import Environment
from spf_bench.files.store import write_parquet, write_png
from spf_bench.record import SCORES, Column, MethodFacts, RunRecord, Score, TestSetFacts
from spf_bench.suite import Sampling
from spf_bench.table.model import Entry, collect
from spf_bench.tracks import Track, cases
from spf_bench.triple import Category, Triple, image

HOSTILE = '<img src=x onerror="alert(1)"></script><b>bold</b>'
COLUMNS = [
    Column("lpips", "LPIPS", "preservation", False, 3, "arXiv:1801.03924", "no"),
    Column("clip_i", "CLIP-I", "preservation", True, 3, "arXiv:2103.00020", "no"),
    Column("clip_t", "CLIP-T", "responsiveness", True, 3, "arXiv:2103.00020", "no"),
]
# Mean LPIPS, CLIP-I and CLIP-T: naive responds most, frozen not at all, and spf lies between.
METHODS = {
    "original": ("Original portrait", (0.0, 1.0, 0.10)),
    "prompt_only": ("Prompt only", (0.1, 0.9, 0.15)),
    "naive": ("Naive fine-tuning", (0.5, 0.5, 0.35)),
    "spf": ("SPF", (0.2, 0.8, 0.30)),
    "frozen": ("Frozen", (0.01, 0.99, 0.10)),
}
TARGETS = ("with a beard", "wearing sunglasses", "blueprint style", "with pink hair", "wearing a hat")


def triples(n: int = 14) -> list[Triple]:
    """Return triples of two categories, the first with HTML in its texts."""
    made = []
    for i in range(n):
        category = Category.facial_attributes if i % 2 else Category.accessories
        base = f"a woman {HOSTILE}" if i == 0 else f"a woman number {i}, red hair"
        made.append(Triple(f"show-{i:02}", base, TARGETS[i % 5], category, i, tuple(base.split(", "))))
    return made


def show(root: Path, methods: Sequence[str] = tuple(METHODS), n: int = 14) -> tuple[Path, testset.TestSet]:
    """Write a test set and finished runs below ``root``; return the folder of runs and the test set."""
    testset.save(root / "testsets" / "show", triples(n), "# show\n")
    frozen = testset.load(str(root / "testsets" / "show"))
    for name in methods:
        put(root / "runs", frozen, name)
    return root / "runs", frozen


def put(
    runs: Path,
    frozen: testset.TestSet,
    name: str,
    changes: Sequence[str] = (),
    track: Track = Track.triples,
    of: str | None = None,
) -> Entry:
    """Write one finished run with its portraits."""
    title, means = METHODS[of or name]
    asked = cases(track, frozen.triples, frozen.triples, lambda phrases, targets: True)
    folder = runs / frozen.name / f"{name}-{track}-{len(changes)}{''.join(changes)[-3:]}"
    frame = _frame(asked, means, seed=len(name) + len(changes))
    _portraits(folder / "images", asked, shade=40 * list(METHODS).index(of or name))
    trains = name in ("naive", "spf")
    facts = MethodFacts(of or name, title, "tests", {}, trains, name == "original", list(changes))
    record = RunRecord(
        schema=1,
        run=folder.name,
        created="2026-01-01T00:00:00+00:00",
        command=f"spf-bench run --method {name}",
        method=facts,
        suite="mini",
        testset=TestSetFacts(frozen.name, frozen.sha256, len(frozen.triples)),
        n=len(frozen.triples),
        limit=None,
        preset="default" if trains else None,
        seed=0 if trains else None,
        sampling=Sampling("ddim", 5, 4.0),
        batch=32,
        originals_sha256="b" * 64,
        images_sha256="c" * 64,
        scoring="d" * 12,
        columns=COLUMNS,
        scores=_scores(frame),
        training={"stage1": {"folder": "stage1-abc", "steps": 300, "seconds": 1.0}} if trains else {},
        weights={"pipeline": "e" * 64, "checkpoint": name[0] * 64},
        seconds={"generate": 1.5},
        environment=Environment("f" * 40, True, "3.11", "Linux", "cpu", 1, {"torch": "2"}),
        track=track.value,
    )
    write_parquet(folder / SCORES, frame)
    record.save(folder)
    return Entry(record, folder)


def put_log(runs: Path, steps: int = 300) -> None:
    """Write the log that the trainings of the runs point to, its last line cut off."""
    lines = [json.dumps({"step": i, "loss": 1 / i, "lr": 1e-4, "seconds": 0.1}) for i in range(1, steps + 1)]
    folder = runs / "cache" / "checkpoints" / "stage1-abc"
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("\n".join([*lines, '{"step": 30']))


def put_maps(runs: Path, kind: str = "sfcm") -> overlays.Grid:
    """Write the maps of one triple beside the run of spf."""
    cells = [np.full((16, 16, 3), shade, np.uint8) for shade in (10, 200)]
    strips = (overlays.Strip("soft map M", cells, ("t = 9", "t = 1")), overlays.Strip("what is released", cells))
    grid = overlays.Grid("show-01", kind, "a woman, <i>", strips)
    overlays.save(grid, next(e.folder for e in collect(runs) if e.record.method.name == "spf"))
    return grid


def _frame(asked: Sequence[Triple], means: Sequence[float], seed: int) -> pd.DataFrame:
    """Return scores around the means; the first case is one on which CLIP-I and LPIPS tell opposite stories."""
    noise = np.random.default_rng(seed).normal(0, 0.004, (len(asked), len(means)))
    values = np.asarray(means) + noise
    values[0, 1] = 1 - values[0, 1]
    ids = pd.Index([case.id for case in asked], name="id")
    frame = pd.DataFrame(values, columns=[column.key for column in COLUMNS], index=ids)
    return frame.assign(category=[case.part for case in asked])


def _scores(frame: pd.DataFrame) -> dict[str, dict[str, Score]]:
    parts = {"all": frame, **{str(part): rows for part, rows in frame.groupby("category")}}
    return {part: {c.key: _score(rows[c.key]) for c in COLUMNS} for part, rows in parts.items()}


def _score(values: "pd.Series[float]") -> Score:
    mean, half = float(values.mean()), 1.96 * float(values.std(ddof=0)) / len(values) ** 0.5
    return Score(mean, mean - half, mean + half, len(values), 0, None)


def _portraits(folder: Path, asked: Sequence[Triple], shade: int) -> None:
    for i, case in enumerate(asked):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[:, :, 0], pixels[:, :, 1] = shade, 12 * (i % 20)
        pixels[16:48, 16:48, 2] = np.arange(32) * 8  # something for the encoder to do
        write_png(image(folder, case), pixels)


def relabel(entry: Entry, **changes: object) -> None:
    """Write a run's record again with some fields changed."""
    replace(entry.record, **changes).save(entry.folder)  # type: ignore[arg-type]
