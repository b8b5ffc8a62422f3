"""Pictures of maps: a labelled grid, and heat laid over portraits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from spf_bench.files.store import write_atomic

CELL, LABEL, HEAD, GAP = 112, 190, 22, 4  # pixels: of a cell, of row labels and column heads, between cells
# Dark to bright as brightness rises, in colours that the colour-blind tell apart.
HEAT = np.array([(10, 12, 50), (75, 25, 120), (180, 50, 100), (245, 130, 40), (252, 245, 150)], float)
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Line:
    """One row of the grid."""

    label: str
    """What it shows."""
    cells: Sequence[Pixels]
    """Images [H, W, 3] of any size."""
    heads: Sequence[str] = ()
    """What stands above its cells; nothing where the row above says it."""


def sheet(title: str, lines: Sequence[Line], to: Path) -> Path:
    """Write lines of labelled cells as a PNG and return its path."""
    width = LABEL + max(len(line.cells) for line in lines) * (CELL + GAP)
    text = wrap(title, width // 7)
    rooms = [HEAD if line.heads else 0 for line in lines]
    picture = Image.new("RGB", (width, 16 * len(text) + 12 + sum(rooms) + len(lines) * (CELL + GAP)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    pen.multiline_text((6, 6), "\n".join(text), fill="black", font=font)
    top = 16 * len(text) + 12
    for line, room in zip(lines, rooms, strict=True):
        top += room
        for column, head in enumerate(line.heads):
            pen.text((LABEL + column * (CELL + GAP) + 2, top - 18), head, fill="black", font=font)
        pen.multiline_text((6, top + 8), "\n".join(wrap(line.label, 26)), fill="black", font=font)
        for column, cell in enumerate(line.cells):
            resized = Image.fromarray(cell).resize((CELL, CELL), Image.Resampling.NEAREST)
            picture.paste(resized, (LABEL + column * (CELL + GAP), top))
        top += CELL + GAP
    write_atomic(to, lambda part: picture.save(part, optimize=True))
    return to


def heat(values: Tensor) -> Pixels:
    """Return a map [h, w] in [0, 1] as colours [h, w, 3]."""
    place = values.detach().float().cpu().clamp(0, 1).numpy() * (len(HEAT) - 1)
    low = np.minimum(place.astype(int), len(HEAT) - 2)
    share = (place - low)[..., None]
    return np.round(HEAT[low] * (1 - share) + HEAT[low + 1] * share).astype(np.uint8)


def over(values: Tensor, portrait: Pixels, share: float = 0.6) -> Pixels:
    """Return a map [h, w] in [0, 1] laid over a portrait [H, W, 3], brought to its size."""
    large = F.interpolate(values[None, None].float().cpu(), portrait.shape[:2], mode="bilinear")[0, 0]
    grey = portrait.mean(axis=2, keepdims=True)
    mixed: Pixels = np.round(share * heat(large) + (1 - share) * grey).astype(np.uint8)
    return mixed
