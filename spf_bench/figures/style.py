"""What all figures share: paper-sized drawings without global state, written as PNG and PDF."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError, installing
from spf_bench.files.store import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, FAINT, LINE, TARGET = "#1b1e23", "#5f6670", "#e2e3dd", "#b3261e"
TONES = ("#2559c4", "#c8372d", "#1f8552", "#a8660a", "#7446b0", "#0a7f92", "#a8368b", "#5f7015", "#84532f", "#44526b")
WIDTH = 7.0
"""Inches: the text width of a two-column paper."""
DPI = 200
NOTE = 150
"""Letters in a line below a drawing."""
SETTINGS: Any = {
    "font.size": 8,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # whole TrueType fonts: publishers refuse Type 3
    "text.color": INK,
    "text.parse_math": False,  # captions are text, dollar signs included
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Set fonts and colours for what is drawn and written within.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("figures are drawn by matplotlib", "it is not installed", installing("figures")) from error
    with matplotlib.rc_context(SETTINGS):
        yield


def canvas(height: float, width: float = WIDTH) -> "Figure":
    """Return an empty drawing, sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def footnote(figure: "Figure", lines: Iterable[str]) -> "Figure":
    """Write below a drawing what must be said beside it, and return it."""
    text = "\n".join(part for line in lines for part in wrap(line, NOTE))
    if text:
        figure.text(0.0, -0.01, text, ha="left", va="top", fontsize=6, color=FAINT)
    return figure


def write(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """Write a drawing as PNG and PDF, without dates: the same drawing is the same file."""
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    dated: list[dict[str, Any]] = [{"Software": None}, {"CreationDate": None, "Producer": None}]
    for path, metadata in zip(paths, dated, strict=True):

        def save(part: Path, metadata: dict[str, Any] = metadata) -> None:
            figure.savefig(part, dpi=DPI, metadata=metadata, bbox_inches="tight", pad_inches=0.05)

        write_atomic(path, save)
    return paths
