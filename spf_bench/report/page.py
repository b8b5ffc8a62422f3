"""The page itself: one HTML file that holds all it shows and asks nobody for anything."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from spf_bench import __version__
from spf_bench.errors import UserError
from spf_bench.files.store import write_text
from spf_bench.report import boards, curves, disagreement, overlays, provenance, scatter
from spf_bench.report.data import Frames, payload
from spf_bench.report.disagreement import Pair
from spf_bench.report.portraits import Gallery, gallery
from spf_bench.report.source import Source, read
from spf_bench.table import costs as cost_table
from spf_bench.table import published
from spf_bench.table.model import Entry, Row
from spf_bench.triple import Triple

HERE = Path(__file__).parent
STYLES = ("base.css", "tables.css", "plots.css", "cases.css", "print.css")
SCRIPTS = ("dom.js", "tables.js", "cases.js", "gallery.js", "disagreement.js", "zoom.js")
TONES = 10
"""Colours of methods in ``base.css``."""
MAPS = 0.2
"""The share of the page that maps may take at most; portraits take what is left."""
MARGIN = 1_000
"""Characters kept for words that depend on how many portraits there are."""


@dataclass(frozen=True)
class Written:
    """What became of a report."""

    path: Path
    size: int
    """Bytes."""
    shown: int
    """Triples whose portraits it holds."""
    of: int
    """Triples of the table."""


@dataclass(frozen=True)
class Contents:
    """What may have to shrink to fit."""

    gallery: Gallery
    pairs: Sequence[Pair]
    sheets: Sequence[overlays.Sheet] = ()


def write(
    entries: Sequence[Entry], to: Path, testset: str | None = None, most: int = 15_000_000, mean: bool = False
) -> Written:
    """Write a report of finished runs.

    Args:
        entries: From ``spf_bench.table.model.collect``.
        to: The HTML file.
        testset: Name or folder of the test set, where the runs' own name does not lead to it.
        most: Bytes the file may have; portraits are made as small as that needs, or are fewer.
        mean: The seeds of a method as one row, with the portraits of the first.

    Raises:
        UserError: The test set is another one, or not even the tables fit.
    """
    source = read(entries, testset, mean)
    frames = [entry.scores() for entry in source.entries.values()]
    sheets = list(overlays.sheets(source.table.rows, source.folders, int(most * MAPS)))
    bare = Contents(Gallery(source.triples), _pairs(source, frames, source.triples), sheets)
    room = most - len(render(source, frames, bare).encode()) - MARGIN
    contents = _with_portraits(source, frames, bare, room)
    if room < 0 or (source.triples and not contents.gallery.triples):
        need = f"all but the portraits takes {(most - room) / 1e6:.1f} MB"
        raise UserError(f"no report fits into {most / 1e6:.1f} MB", need, "spf-bench report --max-mb 15")
    text = render(source, frames, contents)
    write_text(to, text)
    return Written(to, len(text.encode()), len(contents.gallery.images), source.table.n)


def render(source: Source, frames: Frames, contents: Contents) -> str:
    """Return the page as HTML."""
    table, shown = source.table, contents.gallery
    tones = tones_of(table.rows)
    styles, scripts = ("\n".join((HERE / "assets" / name).read_text() for name in part) for part in (STYLES, SCRIPTS))
    page = _templates().get_template("page.html.j2")
    return page.render(
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        source=source,
        first=table.rows[0].record,
        tones=tones,
        board=boards.board(table, "all"),
        categories=[boards.board(t, t.category) for t in source.categories],
        others=[boards.board(t, f"other-{i}") for i, t in enumerate(source.others)],
        plots=scatter.plots(table),
        scatter=scatter,
        stages=curves.stages(source.rows, source.folders),
        curves=curves,
        sheets=contents.sheets,
        gallery=shown,
        pairs=contents.pairs,
        provenance=provenance,
        published=published.sheet(),
        costs=cost_table.sheet([row.record for row in source.rows]),
        data=payload(table, tones, frames, shown, contents.pairs),
        styles=styles,
        scripts=scripts,
        style_hash=_hash(styles),
        script_hash=_hash(scripts),
        glyph=boards.GLYPH,
    )


def tones_of(rows: Sequence[Row]) -> list[str]:
    """Return the colour's name of every row: grey for the original, then one after another."""
    competing = [row.record.run for row in rows if not row.record.method.reference]
    return ["ref" if row.record.run not in competing else f"m{competing.index(row.record.run) % TONES}" for row in rows]


def _with_portraits(source: Source, frames: Frames, bare: Contents, room: int) -> Contents:
    """Return contents with portraits that take at most ``room`` characters; disagreements are about those shown."""
    folders = [entry.folder / "images" for entry in source.entries.values()]
    shown = gallery(folders, source.triples, room)
    whole = len(shown.triples) == len(source.triples)
    return replace(bare, gallery=shown, pairs=bare.pairs if whole else _pairs(source, frames, shown.triples))


def _pairs(source: Source, frames: Frames, triples: Sequence[Triple]) -> list[Pair]:
    """Return on which of these triples metrics disagree about the methods."""
    rows = zip(frames, source.table.rows, strict=True)
    kept = [frame for frame, row in rows if frame is not None and not row.record.method.reference]
    return disagreement.pairs(kept, source.table.columns, [triple.id for triple in triples])


def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(text: str) -> str:
    """Return what a content security policy calls a script or style: nothing else may run in the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
