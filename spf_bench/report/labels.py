"""Names beside the points of a plot, so placed that they cover neither points nor each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LETTER, LINE = 6.4, 15.0  # width of a letter and height of a line, in the drawing's units at the page's font size
FAR = 9.0  # between a point and its name


@dataclass(frozen=True)
class Box:
    """A rectangle in the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """Return the area both cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Label:
    """Where a name stands."""

    x: float
    y: float
    """The text's middle line."""
    anchor: str
    """SVG's ``text-anchor``."""
    box: Box
    """What it covers."""


def place(
    points: Sequence[tuple[float, float]], names: Sequence[str], frame: Box, lines: Sequence[Box] = ()
) -> list[Label]:
    """Return a place for the name of every point, the least covering one of those around it.

    Args:
        points: (x, y) in the drawing's units.
        names: One for each point.
        frame: What no name should leave.
        lines: What else is drawn there.
    """
    taken = [*lines, *(Box(x - 7, y - 7, x + 7, y + 7) for x, y in points)]
    labels: list[Label] = []
    for (x, y), name in zip(points, names, strict=True):
        best = min(_around(x, y, LETTER * len(name)), key=lambda label: _cost(label.box, taken, frame))
        taken.append(best.box)
        labels.append(best)
    return labels


def _around(x: float, y: float, width: float) -> Iterator[Label]:
    """Yield places from the best to the worst: beside the point, then higher and lower, then right above and below."""
    half = LINE / 2
    for down in (0.0, -0.8 * LINE, 0.8 * LINE, -1.8 * LINE, 1.8 * LINE):
        far = FAR if down == 0 else FAR / 2
        right, left = x + far, x - far
        yield Label(right, y + down, "start", Box(right, y + down - half, right + width, y + down + half))
        yield Label(left, y + down, "end", Box(left - width, y + down - half, left, y + down + half))
    for down in (-LINE, LINE):
        yield Label(x, y + down, "middle", Box(x - width / 2, y + down - half, x + width / 2, y + down + half))


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    return sum(box.overlap(other) for other in taken) + 3 * (box.area - box.overlap(frame))
