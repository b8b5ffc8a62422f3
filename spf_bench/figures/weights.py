"""Fig. 13: FID over the weight of each loss, from ``sweep.json`` of ``spf-bench sweep``."""

from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spf_bench.errors import UserError, quoted
from spf_bench.figures.ask import Ask
from spf_bench.figures.style import FAINT, TONES, WIDTH, canvas, footnote
from spf_bench.files.store import read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "sweep.json"
COMMAND = "spf-bench sweep --lambda text,fine,enhance"
NAMES = {"text": "λ_text", "fine": "λ_fine", "enhance": "λ_enh"}
LEVEL = "no_sfcm"


class Fid(NamedTuple):
    """A mean FID with the ends of its interval; None where it was not measured."""

    mean: float | None
    lo: float | None
    hi: float | None


Scores = Mapping[str, Fid]


def sweep(ask: Ask) -> "Figure":
    """Draw FID with its interval over the values of each weight, the line without the control map beside it."""
    path = _file(ask)
    scores, notes = _read(path)
    try:
        curves = {name: points for name in NAMES if (points := _points(scores, name))}
    except ValueError as error:
        raise UserError(f"{path} is no sweep", str(error), COMMAND) from error
    if not curves:
        raise UserError(f"{path} has nothing to draw", "no weight in it has an FID", COMMAND)
    figure = canvas(2.2, WIDTH * max(len(curves), 2) / 3)
    without = scores.get(LEVEL)
    level = None if without is None else without.mean
    for number, (name, points) in enumerate(curves.items()):
        axes: Any = figure.add_subplot(1, len(curves), number + 1)
        _panel(axes, points, TONES[number], level)
        axes.set_xlabel(NAMES[name])
    figure.axes[0].set_ylabel("FID ↓")
    figure.tight_layout()
    footnote(figure, notes)
    return figure


def _panel(axes: Any, points: list[tuple[float, float, float]], tone: str, level: float | None) -> None:
    """Draw values evenly apart: they are multiples, and zero has no logarithm."""
    places, values, halves = range(len(points)), [y for _, y, _ in points], [half for _, _, half in points]
    axes.errorbar(places, values, yerr=halves, color=tone, marker="o", capsize=2, elinewidth=0.9)
    axes.set_xticks(list(places), [f"{x:g}" for x, _, _ in points], rotation=35, ha="right", rotation_mode="anchor")
    if level is not None:
        axes.axhline(level, color=FAINT, linestyle="--", linewidth=1)
        axes.annotate("w/o SFCM", (0.02, level), (0, 2), ("axes fraction", "data"), "offset points", color=FAINT)


def _points(scores: Scores, name: str) -> list[tuple[float, float, float]]:
    """Return (weight, FID, half its interval or NaN) of one weight from the smallest."""
    points = []
    for key, fid in scores.items():
        weight, _, value = key.partition("=")
        if weight == name and value and fid.mean is not None:
            half = nan if fid.lo is None or fid.hi is None else (fid.hi - fid.lo) / 2
            points.append((_weight(value), fid.mean, half))
    return sorted(points)


def _weight(text: str) -> float:
    """Return a weight; raises ValueError where it is no finite number."""
    if not isfinite(weight := float(text)):
        raise ValueError(f"{text} is no weight")
    return weight


def _fid(told: Mapping[str, Any] | None) -> Fid:
    """Return what a sweep says of an FID; raises TypeError or ValueError where that is no number."""
    given = {} if told is None else dict(told)
    ends = (given.get(name) for name in ("mean", "lo", "hi"))
    return Fid(*(None if end is None else _number(end) for end in ends))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _file(ask: Ask) -> Path:
    found = [path / FILE if path.is_dir() else path for path in ask.data] or sorted(ask.runs.rglob(FILE))
    if not found or not found[0].is_file():
        where = found[0] if found else ask.runs
        raise UserError(f"no sweep in {where}", "Fig. 13 is drawn from a sweep over loss weights", COMMAND)
    if len(found) > 1:
        named = ", ".join(map(str, found))
        raise UserError("there is more than one sweep", named, f"spf-bench figure 13 --data {quoted(found[0])}")
    return found[0]


def _read(path: Path) -> tuple[Scores, list[str]]:
    """Return the scores of a sweep, and what must be said beside them."""
    try:
        told = read_json(path)
        scores = {str(key): _fid(dict(found).get("fid")) for key, found in told["scores"].items()}
        return scores, list(map(str, told.get("notes", ())))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} is no sweep", f"{type(error).__name__}: {error}", COMMAND) from error
