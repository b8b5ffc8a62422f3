"""A picture of one test set's portraits: a row per method, a column per triple, the target above it."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from spf_bench.errors import UserError
from spf_bench.files.store import write_atomic
from spf_bench.picture import rgb
from spf_bench.table.model import Entry, build
from spf_bench.testset import load
from spf_bench.triple import Category, Triple, image

LABEL, HEAD, GAP = 150, 40, 6  # pixels: width of the row labels, height of the column heads, space between
MARGIN = 8  # pixels beside a row's label
SIZES = range(15, 7, -1)  # points of a row's label: the first in which it fits


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw(entries: Sequence[Entry], to: Path, n: int = 8, category: Category | None = None, cell: int = 128) -> Path:
    """Draw the first ``n`` triples, or those of one category, of the largest table of ``entries``.

    Args:
        entries: Finished runs whose folders still hold their images.
        to: The PNG to write.
        n: Columns.
        category: Only triples of this category.
        cell: Edge of a portrait in pixels; small portraits are enlarged without smoothing.

    Raises:
        UserError: No run holds its images any more, one of them is gone or broken, or no triple fits.
    """
    asked = [entry for entry in entries if entry.record.track == "triples"]  # other tracks have texts of their own
    kept = [entry for entry in asked if (entry.folder / "images").is_dir()]
    if not kept:
        raise UserError(
            "no run here holds its images", "records alone cannot be drawn", "run the command of a record again"
        )
    table = max(build(kept), key=lambda t: (len(t.rows), t.n))
    folders = {entry.record.run: entry.folder / "images" for entry in kept}
    first = table.rows[0].record
    fits = (t for t in load(first.testset.name).head(first.limit) if category in (None, t.category))
    triples = [triple for triple, _ in zip(fits, range(n), strict=False)]
    if not triples:
        raise UserError("nothing to draw", f"no triple of these runs is of category {category}", "draw another one")
    sheet = Image.new("RGB", (LABEL + len(triples) * (cell + GAP), HEAD + len(table.rows) * (cell + GAP)), "white")
    _heads(sheet, triples, cell)
    for number, row in enumerate(table.rows):
        top = HEAD + number * (cell + GAP)
        label, font = fitted(row.label, LABEL - 2 * MARGIN, cell)
        ImageDraw.Draw(sheet).text((MARGIN, top + cell // 2), label, fill="black", font=font, anchor="lm")
        for column, triple in enumerate(triples):
            portrait = rgb(image(folders[row.record.run], triple))
            enlarged = portrait.resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (LABEL + column * (cell + GAP), top))
    write_atomic(to, lambda part: sheet.save(part, optimize=True))
    return to


def fitted(label: str, width: int, height: int) -> tuple[str, Font]:
    """Return a label broken into lines that fit ``width`` pixels, and the largest font in which they fit ``height``.

    What fits in none is given in the smallest.
    """
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    for size in SIZES:
        font = _font(size)
        text = _broken(label, width, font)
        left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
        if right - left <= width and bottom - top <= height:
            break
    return text, font


def _broken(label: str, width: int, font: Font) -> str:
    """Return a label with a line break wherever the next word, or of a long word the next letter, would not fit."""
    lines = [""]
    for word in label.split():
        if font.getlength(f"{lines[-1]} {word}".strip()) > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while (fits := sum(font.getlength(lines[-1][: n + 1]) <= width for n in range(len(lines[-1])))) < len(
            lines[-1]
        ):
            lines[-1:] = [lines[-1][: max(1, fits)], lines[-1][max(1, fits) :]]
    return "\n".join(lines)


def _heads(sheet: Image.Image, triples: Sequence[Triple], cell: int) -> None:
    pen = ImageDraw.Draw(sheet)
    for column, triple in enumerate(triples):
        text = "\n".join(wrap(triple.target, max(8, cell // 8)))
        pen.text((LABEL + column * (cell + GAP) + 2, 4), text, fill="black", font=_font(13))


def _font(size: int) -> Font:
    return ImageFont.load_default(size)
