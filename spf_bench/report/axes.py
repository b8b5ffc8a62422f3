"""Axes of the page's plots: round ticks, and places in the drawing for values."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers within [low, high], at most ``most``: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Axis:
    """A range of values and where it lies in the drawing; ``start`` may be right of or below ``end``."""

    low: float
    """The value at ``start``."""
    high: float
    """The value at ``end``."""
    start: float
    """In the drawing's units."""
    end: float
    """In the drawing's units."""

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float, room: float = 0.07) -> "Axis":
        """Return an axis that holds all values with some room at both ends."""
        known = list(values) or [0.0, 1.0]
        low, high = min(known), max(known)
        pad = (high - low) * room if high > low else abs(high) * 0.1 or 1.0
        return cls(low - pad, high + pad, start, end)

    def flipped(self) -> "Axis":
        """Return the axis with its values running the other way."""
        return Axis(self.low, self.high, self.end, self.start)

    def place(self, value: float) -> float:
        """Return where a value lies, rounded to a tenth; values outside are brought to the nearer end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def marks(self, most: int = 6) -> list[tuple[float, str]]:
        """Return places and texts of its ticks."""
        return [(self.place(value), f"{value:g}") for value in ticks(self.low, self.high, most)]
