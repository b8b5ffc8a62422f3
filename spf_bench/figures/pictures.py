"""Grids of pictures with words at their left and above them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.figures.style import FAINT, TARGET, WIDTH, canvas
from spf_bench.picture import rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = 1.45
"""Inches at the left of every row."""
LETTERS = 24
"""How many fit into a line there."""
GAP, HEAD, LINE = 0.05, 0.17, 0.135
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    """One row of pictures."""

    cells: Sequence[Pixels | None]
    """Pictures [H, W, 3]; None leaves a gap."""
    text: str = ""
    """What stands at the left."""
    target: str = ""
    """What stands below that, in another colour."""
    heads: Sequence[str] = ()
    """What stands above the cells; nothing where the row above says it."""


@dataclass
class _Pen:
    """Where the next row begins, in inches from the top."""

    figure: "Figure"
    width: float
    height: float
    top: float = 0.0
    cell: float = field(default=0.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return a place in the drawing's own share of width and height."""
        return x / self.width, 1 - y / self.height


def read(path: Path) -> Pixels | None:
    """Return a picture [H, W, 3]; None where there is no file.

    Raises:
        UserError: It is broken.
    """
    return np.asarray(rgb(path)) if path.is_file() else None


def grid(lines: Sequence[Line], widest: float = 1.0) -> "Figure":
    """Draw rows of square pictures.

    Args:
        lines: The rows.
        widest: Largest edge of a picture in inches.
    """
    columns = max(len(line.cells) for line in lines)
    cell = min(widest, (WIDTH - WORDS) / columns - GAP)
    across = max(9, int(cell / 0.062))  # letters that fit above a picture
    rooms = [_room(line, across) for line in lines]
    width, height = WORDS + columns * (cell + GAP), sum(rooms) + len(lines) * (cell + GAP)
    pen = _Pen(canvas(height, width), width, height, cell=cell)
    for line, room in zip(lines, rooms, strict=True):
        _heads(pen, line, room, across)
        _words(pen, line)
        for number, pixels in enumerate(line.cells):
            _picture(pen, pixels, WORDS + number * (cell + GAP))
        pen.top += cell + GAP
    return pen.figure


def _room(line: Line, across: int) -> float:
    most = max((len(wrap(head, across)) for head in line.heads), default=0)
    return most * LINE + 0.09 if most else 0.0


def _heads(pen: _Pen, line: Line, room: float, across: int) -> None:
    pen.top += room
    for number, head in enumerate(line.heads):
        x, y = pen.at(WORDS + number * (pen.cell + GAP) + pen.cell / 2, pen.top - 0.04)
        pen.figure.text(x, y, "\n".join(wrap(head, across)), ha="center", va="bottom", fontsize=7.5)


def _words(pen: _Pen, line: Line) -> None:
    fitting = max(2, int(pen.cell / 0.115)) - (2 if line.target else 0)
    text = wrap(line.text, LETTERS, max_lines=max(2, fitting), placeholder=" …")
    target = wrap(f"+ {line.target}", LETTERS) if line.target else []
    for number, part in enumerate([*text, *target]):
        x, y = pen.at(0.0, pen.top + 0.09 + 0.118 * number)
        colour = FAINT if number < len(text) else TARGET
        pen.figure.text(x, y, part, ha="left", va="center", fontsize=7, color=colour)


def _picture(pen: _Pen, pixels: Pixels | None, left: float) -> None:
    x, y = pen.at(left, pen.top + pen.cell)
    axes: Any = pen.figure.add_axes((x, y, pen.cell / pen.width, pen.cell / pen.height))
    axes.set_axis_off()
    if pixels is None:
        axes.text(0.5, 0.5, "no image", ha="center", va="center", color=FAINT, fontsize=7)
    else:
        axes.imshow(pixels, interpolation="nearest" if pixels.shape[0] <= 32 else "antialiased", aspect="auto")
