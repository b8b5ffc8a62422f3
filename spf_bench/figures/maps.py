"""Figures of maps: attention to the target (2) and the control map (3), from the grids kept beside runs."""

from typing import TYPE_CHECKING

from spf_bench import overlays
from spf_bench.errors import UserError, unknown
from spf_bench.figures.ask import Ask
from spf_bench.figures.pictures import Line, grid
from spf_bench.figures.style import footnote
from spf_bench.table.model import collect
from spf_bench.table.notes import uncommitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention(ask: Ask) -> "Figure":
    """Draw where the models look for the target text while they sample (Fig. 2)."""
    return _sheet(ask, "attention")


def control_map(ask: Ask) -> "Figure":
    """Draw the soft map, the phrases' maps and the refined map while a portrait is sampled (Fig. 3)."""
    return _sheet(ask, "sfcm")


def _sheet(ask: Ask, kind: str) -> "Figure":
    command = f"spf-bench show {kind} --triple 1"
    entries = collect(ask.runs)
    found = {grid.triple: (grid, entry.record) for entry in entries for grid in overlays.find(entry.folder, kind)}
    if not found:
        raise UserError(f"no {kind} maps beside the runs in {ask.runs}", "they are kept when they are drawn", command)
    for name in ask.triples:
        if name not in found:
            raise unknown(f"triple with {kind} maps", name, found, f"spf-bench show {kind} --triple {name}")
    chosen = [found[name] for name in ask.triples or list(found)[:1]]
    drawn = grid([line for one, _ in chosen for line in _lines(one)], widest=0.85)
    return footnote(drawn, uncommitted([(r.method.title, r) for r in {r.run: r for _, r in chosen}.values()]))


def _lines(one: overlays.Grid) -> list[Line]:
    return [Line(strip.cells, strip.label, heads=strip.heads) for strip in one.strips]
