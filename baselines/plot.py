"""Small line plots, drawn with Pillow: panels side by side, points with error bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from spf_bench.files.store import write_atomic

SIZE, MARGIN = (440, 320), (64, 40, 16, 52)  # pixels of a panel; its left, upper, right and lower margin
COLOURS = ("#1f5fa8", "#c4501b", "#2f8f4e", "#7a4fa3")
GREY = "#9a9a9a"
Point = tuple[float, float, float | None]
Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    """What it shows."""
    x: str
    """What the horizontal axis is."""
    curves: dict[str, Sequence[Point]]
    """By label: points (x, y, half the interval of y or None) from left to right."""
    level: tuple[str, float] | None = None
    """A dashed horizontal line with its label."""


def plot(panels: Sequence[Panel], to: Path, notes: Sequence[str] = ()) -> Path:
    """Draw panels side by side into a PNG, notes below them, and return its path."""
    sheet = Image.new("RGB", (SIZE[0] * len(panels), SIZE[1] + 16 * len(notes)), "white")
    for row, note in enumerate(notes):
        ImageDraw.Draw(sheet).text((8, SIZE[1] + 16 * row), note, fill="black", font=_font(11))
    for number, panel in enumerate(panels):
        picture = Image.new("RGB", SIZE, "white")
        _draw(ImageDraw.Draw(picture), panel)
        sheet.paste(picture, (number * SIZE[0], 0))
    write_atomic(to, lambda part: sheet.save(part, optimize=True))
    return to


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) that divide [low, high] evenly."""
    step = 10.0 ** len(str(int(high - low)))
    while (high - low) / step < most - 1 and step > 1e-12:
        step /= 2 if f"{step:e}"[0] != "5" else 2.5
    first = -(-low // step)
    return [round((first + i) * step, 12) for i in range(most * 3) if (first + i) * step <= high + step * 1e-9]


def _draw(pen: ImageDraw.ImageDraw, panel: Panel) -> None:
    left, top, right, bottom = MARGIN[0], MARGIN[1], SIZE[0] - MARGIN[2], SIZE[1] - MARGIN[3]
    (x0, x1), (y0, y1) = _ranges(panel)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * (right - left), bottom - (y - y0) / (y1 - y0) * (bottom - top)

    pen.text((left, 8), panel.title, fill="black", font=_font(14))
    pen.text(((left + right) / 2, SIZE[1] - 12), panel.x, fill="black", font=_font(12), anchor="mm")
    pen.rectangle((left, top, right, bottom), outline="black")
    for tick in ticks(x0, x1):
        pen.text((place(tick, y0)[0], bottom + 10), f"{tick:g}", fill="black", font=_font(11), anchor="mm")
    for tick in ticks(y0, y1):
        level = place(x0, tick)[1]
        pen.line((left, level, right, level), fill="#e8e8e8")
        pen.text((left - 6, level), f"{tick:g}", fill="black", font=_font(11), anchor="rm")
    if panel.level is not None:
        _dashes(pen, panel.level, place(x0, panel.level[1])[1], left, right)
    for row, (label, points) in enumerate(panel.curves.items()):
        colour = COLOURS[row % len(COLOURS)]
        _curve(pen, points, place, colour)
        pen.text((right - 8, top + 10 + 14 * row), label, fill=colour, font=_font(11), anchor="rm")


def _curve(pen: ImageDraw.ImageDraw, points: Sequence[Point], place: Place, colour: str) -> None:
    pen.line([place(x, y) for x, y, _ in points], fill=colour, width=2)
    for x, y, half in points:
        across, down = place(x, y)
        pen.ellipse((across - 3, down - 3, across + 3, down + 3), fill=colour)
        if half is not None:
            pen.line((place(x, y - half), place(x, y + half)), fill=colour)


def _dashes(pen: ImageDraw.ImageDraw, level: tuple[str, float], height: float, left: float, right: float) -> None:
    for start in range(int(left), int(right), 10):
        pen.line((start, height, min(start + 5, right), height), fill=GREY)
    pen.text((left + 6, height - 8), level[0], fill=GREY, font=_font(11), anchor="lm")


def _ranges(panel: Panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return both axes' ends, with a little room above and below."""
    points = [point for curve in panel.curves.values() for point in curve]
    xs = [x for x, _, _ in points]
    ys = [y + end * (half or 0) for _, y, half in points for end in (-1, 1)]
    ys += [panel.level[1]] if panel.level else []
    room = (max(ys) - min(ys)) * 0.08 or abs(max(ys)) * 0.1 or 1.0
    across = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 1, max(xs) + 1)
    return across, (min(ys) - room, max(ys) + room)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
