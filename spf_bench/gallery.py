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
        ImageDraw.Draw(sheet).text((8, top + cell // 2 - 8), row.label, fill="black", font=_font(15))
        for column, triple in enumerate(triples):
            portrait = rgb(image(folders[row.record.run], triple))
            enlarged = portrait.resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (LABEL + column * (cell + GAP), top))
    write_atomic(to, lambda part: sheet.save(part, optimize=True))
    return to


def _heads(sheet: Image.Image, triples: Sequence[Triple], cell: int) -> None:
    pen = ImageDraw.Draw(sheet)
    for column, triple in enumerate(triples):
        text = "\n".join(wrap(triple.target, max(8, cell // 8)))
        pen.text((LABEL + column * (cell + GAP) + 2, 4), text, fill="black", font=_font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
