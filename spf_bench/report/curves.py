"""Training curves: every quantity that the runs logged, a panel each, one line for each training."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from spf_bench.report.axes import Axis
from spf_bench.table.model import Row

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 308, 12, 162
BINS = 40
"""Points of a line: each the mean of the steps it stands for, for single steps are noise."""
NOT_DRAWN = ("step", "seconds", "lr", "passes", "skipped")
"""What a log holds besides the quantities worth a panel."""
LOG = "log.jsonl"


@dataclass(frozen=True)
class Training:
    """One stage of training, shared by all runs that started from it."""

    stage: str
    rows: tuple[int, ...]
    """The rows of the table that rest on it."""
    log: list[dict[str, Any]]
    """One dict a step."""


@dataclass(frozen=True)
class Curve:
    """One line of a panel."""

    row: int
    """The first row that rests on it, whose colour it has."""
    points: str
    """Of an SVG polyline."""
    told: str
    """Its name, and where it ends."""


@dataclass(frozen=True)
class Panel:
    """One quantity over the steps of a stage."""

    term: str
    x_marks: list[tuple[float, str]]
    y_marks: list[tuple[float, str]]
    curves: list[Curve]


@dataclass(frozen=True)
class Stage:
    """All panels of a stage."""

    name: str
    names: list[tuple[int, str]]
    """Row and name of every training, for the legend."""
    panels: list[Panel]


def stages(rows: Sequence[Row], folders: dict[str, Path]) -> list[Stage]:
    """Return panels for every stage whose logs are still there.

    Args:
        rows: Of the table.
        folders: Of the runs, by their names.
    """
    found = trainings(rows, folders)
    return [_stage(name, [t for t in found if t.stage == name], rows) for name in sorted({t.stage for t in found})]


def trainings(rows: Sequence[Row], folders: dict[str, Path]) -> list[Training]:
    """Return every training whose log is found in the cache beside the runs, each once."""
    logs: dict[Path, tuple[str, list[int]]] = {}
    for number, row in enumerate(rows):
        for stage, facts in row.record.training.items():
            if (path := find_log(folders[row.record.run], str(facts.get("folder", "")))) is not None:
                logs.setdefault(path, (stage, []))[1].append(number)
    return [Training(stage, tuple(numbers), read_log(path)) for path, (stage, numbers) in logs.items()]


def find_log(run: Path, name: str) -> Path | None:
    """Return the log of a checkpoint in the cache of the folder of runs that ``run`` lies in."""
    if not name or Path(name).name != name:  # a record is data: its names lead nowhere else
        return None
    paths = (parent / "cache" / "checkpoints" / name / LOG for parent in run.resolve().parents)
    return next((path for path in paths if path.is_file()), None)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; one cut off by a kill is left out."""
    return [line for text in path.read_text(encoding="utf-8").splitlines() if (line := _parse(text)) is not None]


def _parse(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "step" in line else None


def _stage(name: str, found: Sequence[Training], rows: Sequence[Row]) -> Stage:
    terms = dict.fromkeys(key for training in found for line in training.log for key in line)
    panels = [_panel(term, found, rows) for term in terms if term not in NOT_DRAWN]
    names = [(training.rows[0], _name(training, rows)) for training in found]
    return Stage(name, names, [panel for panel in panels if panel.curves])


def _panel(term: str, found: Sequence[Training], rows: Sequence[Row]) -> Panel:
    series = [(training, points) for training in found if (points := list(binned(training.log, term)))]
    across = Axis.around((x for _, points in series for x, _ in points), LEFT, RIGHT, room=0.02)
    up = Axis.around((y for _, points in series for _, y in points), BOTTOM, TOP)
    curves = [
        Curve(
            training.rows[0],
            " ".join(f"{across.place(x)},{up.place(y)}" for x, y in points),
            f"{_name(training, rows)}: {term} ends at {points[-1][1]:.4g}",
        )
        for training, points in series
    ]
    return Panel(term, across.marks(4), up.marks(4), curves)


def binned(log: Sequence[dict[str, Any]], term: str) -> Iterator[tuple[float, float]]:
    """Yield at most ``BINS`` points (step, mean of the steps around it) of one quantity."""
    known = [(line["step"], line[term]) for line in log if isinstance(line.get(term), int | float)]
    known = [(step, value) for step, value in known if isfinite(value)]
    size = -(-len(known) // BINS) or 1
    for start in range(0, len(known), size):
        part = known[start : start + size]
        yield sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part)


def _name(training: Training, rows: Sequence[Row]) -> str:
    return ", ".join(rows[number].label for number in training.rows)
