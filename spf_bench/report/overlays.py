"""The maps that runs keep of some triples, as the page shows them."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from spf_bench import overlays
from spf_bench.table.model import Row


@dataclass(frozen=True)
class Strip:
    """One row of pictures."""

    label: str
    heads: Sequence[str]
    cells: list[str]
    """Data URIs."""


@dataclass(frozen=True)
class Sheet:
    """The maps of one triple, of one kind."""

    key: str
    """Unique on the page."""
    name: str
    """Triple, kind and method."""
    title: str
    strips: list[Strip]


def sheets(rows: Sequence[Row], folders: dict[str, Path], budget: int) -> Iterator[Sheet]:
    """Yield the maps of all runs, as many as fit into ``budget`` characters."""
    for row in rows:
        for number, grid in enumerate(overlays.find(folders[row.record.run])):
            strips = [Strip(s.label, s.heads, [_uri(cell) for cell in s.cells]) for s in grid.strips]
            budget -= sum(len(cell) for strip in strips for cell in strip.cells)
            if budget < 0:
                return
            name = f"{grid.triple}, {grid.kind}, {row.label}"
            yield Sheet(f"{row.record.run}-{number}", name, grid.title, strips)


def _uri(cell: overlays.Pixels) -> str:
    part = io.BytesIO()
    picture = Image.fromarray(cell)
    picture.thumbnail((256, 256), Image.Resampling.LANCZOS)
    picture.save(part, "WEBP", lossless=max(cell.shape) <= 64, quality=85)
    return "data:image/webp;base64," + base64.b64encode(part.getvalue()).decode()
