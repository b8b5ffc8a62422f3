"""Fig. 5: what supervision does to response and fidelity while a model trains, from traces of its checkpoints."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.figures.ask import Ask
from spf_bench.figures.pictures import Line, read
from spf_bench.figures.style import TONES, WIDTH, canvas, footnote
from spf_bench.report.curves import read_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRACE = "trace.jsonl"
TITLES = {
    "clip_t": "Response: CLIP-T",
    "image_reward": "Fidelity: ImageReward",
    "hps": "Fidelity: HPSv2",
    "hit_rate": "Hit %",
    "kept": "Kept %",
}
"""What may be traced, in the order of the panels; what a trace lacks has none."""
HEAD = 0.3
"""Inches above the curves, for their legend."""
GRID = {"hspace": 0.62, "left": 0.07, "right": 0.99}
SHOWN = 6
"""Checkpoints whose samples are shown."""
COMMAND = "spf-bench train --trace --out runs/train/spf, and again with --set spf.response_loss=clip and another --out"


@dataclass(frozen=True)
class Trace:
    """The scores of one training's checkpoints."""

    name: str
    folder: Path
    """Where it lies, with the samples it was measured on."""
    rows: Sequence[dict[str, Any]]


def supervision(ask: Ask) -> "Figure":
    """Draw every traced score over the steps, a line for each training, and samples on the way (Fig. 5)."""
    traces = [_read(path) for path in _found(ask)]
    last = max(row["stage"] for trace in traces for row in trace.rows)
    keys = [key for key in TITLES if any(key in row for trace in traces for row in trace.rows)]
    samples = [line for trace in traces if (line := _samples(trace, last)).cells]
    rows = -(-len(keys) // 2)
    curves, below = 2.1 * rows + HEAD, 1.1 * len(samples)
    figure = canvas(curves + below, WIDTH)
    parts: Any = figure.subfigures(2, 1, height_ratios=[curves, below]) if samples else [figure]
    axes: Any = parts[0].subplots(rows, 2, squeeze=False, gridspec_kw=GRID | {"top": 1 - (HEAD + 0.2) / curves})
    for place, key in zip(axes.flat, keys, strict=False):
        for trace, tone in zip(traces, TONES, strict=False):
            _curve(place, trace, last, key, tone)
        place.set(title=TITLES[key], xlabel=f"steps of {last}")
    for place in axes.flat[len(keys) :]:
        place.set_visible(False)
    parts[0].legend(*axes.flat[0].get_legend_handles_labels(), loc="upper right", ncols=4)  # over no line
    if samples:
        _pictures(parts[1], samples)
    return footnote(figure, _cautions(traces))


def _cautions(traces: Sequence[Trace]) -> Iterator[str]:
    """Yield which traces rest on some of the validation triples alone."""
    for trace in traces:
        found = {(row.get("n"), row.get("of")) for row in trace.rows}
        parts = sorted({f"{n} of {of}" for n, of in found if n is not None and of is not None and n < of})
        if parts:
            yield f"{trace.name}: measured on {', '.join(parts)} validation triples"


def _samples(trace: Trace, stage: str) -> Line:
    """Return what some checkpoints made of the first validation triple."""
    steps = [row["step"] for row in trace.rows if row["stage"] == stage]
    some = [steps[round(i * (len(steps) - 1) / (SHOWN - 1))] for i in range(SHOWN)] if len(steps) > SHOWN else steps
    folders = [trace.folder / f"{stage}-{step:06}" for step in some]
    first = next((path.name for folder in folders for path in sorted(folder.glob("*.png"))), None)
    if first is None:
        return Line(())
    return Line([read(folder / first) for folder in folders], trace.name, heads=[f"step {step}" for step in some])


def _pictures(part: Any, samples: Sequence[Line]) -> None:
    most = max(len(line.cells) for line in samples)
    grid = part.subplots(len(samples), most, squeeze=False, gridspec_kw={"wspace": 0.05, "left": 0.07, "right": 0.99})
    for axes in grid.flat:
        axes.set_axis_off()
    for row, line in zip(grid, samples, strict=True):
        row[0].text(-0.08, 0.5, line.text, rotation=90, ha="right", va="center", transform=row[0].transAxes)
        for axes, pixels, head in zip(row, line.cells, line.heads, strict=False):
            axes.set_title(head, fontsize=7, loc="center", fontweight="normal", pad=2)
            if pixels is not None:
                axes.imshow(pixels)


def _curve(axes: Any, trace: Trace, stage: str, key: str, tone: str) -> None:
    rows = [row for row in trace.rows if row["stage"] == stage and row.get(key) is not None]
    steps, values = [row["step"] for row in rows], [row[key] for row in rows]
    halves = [nan if (half := row.get(f"{key}_half")) is None else half for row in rows]
    low = [value - half for value, half in zip(values, halves, strict=True)]
    high = [value + half for value, half in zip(values, halves, strict=True)]
    axes.fill_between(steps, low, high, color=tone, alpha=0.15, linewidth=0)
    axes.plot(steps, values, color=tone, marker="o", label=trace.name)


def _found(ask: Ask) -> list[Path]:
    """Return the traces asked for, or all below the runs; at most as many as there are colours."""
    given = [_trace_in(path) for path in ask.data]
    if missing := [path for path in given if not path.is_file()]:
        raise UserError(f"{missing[0]} is no trace", "there is no such file", COMMAND)
    found = given or sorted(ask.runs.rglob(TRACE))
    if not found:
        raise UserError(f"no trace of a training in {ask.runs}", "Fig. 5 is drawn from traced checkpoints", COMMAND)
    if len(found) > len(TONES):
        raise UserError(f"{len(found)} traces are too many", f"there are {len(TONES)} colours", "name some with --data")
    return found


def _trace_in(path: Path) -> Path:
    """Return the file of a trace that is named by itself, by its folder, or by the training's."""
    if path.is_file():
        return path
    return path / "trace" / TRACE if (path / "trace").is_dir() else path / TRACE


def _read(path: Path) -> Trace:
    rows = [row for row in read_log(path) if "stage" in row]
    if not rows:
        raise UserError(f"{path} is no trace", "none of its lines has a stage and a step", COMMAND)
    folder = path.parent
    return Trace(folder.parent.name if folder.name == "trace" else folder.name, folder, rows)
