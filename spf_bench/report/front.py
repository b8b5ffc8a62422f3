"""The Pareto front of points of which larger is better: those that no other beats."""

from collections.abc import Sequence


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points (larger is better) that no other beats in one and equals in the other."""

    def beaten(x: float, y: float) -> bool:
        return any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)

    return [i for i, (x, y) in enumerate(points) if not beaten(x, y)]


def stairs(corners: Sequence[tuple[float, float]]) -> str:
    """Return a line through corners from left to right: what lies below and left of it is beaten."""
    points = [corners[0]]
    for x, y in corners[1:]:
        points += [(points[-1][0], y), (x, y)]
    return " ".join(f"{x},{y}" for x, y in points)
