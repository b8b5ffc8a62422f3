"""Grids of maps as HTML that holds its pictures."""

import base64
import io
from collections.abc import Iterable
from html import escape

from PIL import Image

from spf_bench.overlays import Grid, Pixels, Strip

LARGEST = 256  # pixels: a map has far fewer, a portrait of 512 is shown at this size beside them


def as_html(shown: Iterable[tuple[str, Grid]]) -> str:
    """Return grids one below the other, each with its method's label; texts are shown as texts."""
    return "".join(f'<section class="maps"><h3>{escape(label)}</h3>{_table(grid)}</section>' for label, grid in shown)


def _table(grid: Grid) -> str:
    return f"<table><caption>{escape(grid.title)}</caption>{''.join(map(_rows, grid.strips))}</table>"


def _rows(strip: Strip) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in strip.heads)
    cells = "".join(f'<td><img src="{_uri(cell)}" alt=""></td>' for cell in strip.cells)
    above = f"<tr><td></td>{heads}</tr>" if heads else ""
    return f'{above}<tr><th scope="row">{escape(strip.label)}</th>{cells}</tr>'


def _uri(cell: Pixels) -> str:
    part = io.BytesIO()
    picture = Image.fromarray(cell)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    picture.save(part, "PNG")
    return "data:image/png;base64," + base64.b64encode(part.getvalue()).decode()
