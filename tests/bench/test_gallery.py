"""The picture shows what the runs hold: a row per method, the original's first, or says why there is none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from spf_bench.errors import UserError
from spf_bench.figures.pictures import read
from spf_bench.files.store import write_png
from spf_bench.gallery import GAP, HEAD, LABEL, MARGIN, draw, fitted
from spf_bench.progress import Silent
from spf_bench.report.portraits import gallery as report_gallery
from spf_bench.run.execute import execute
from spf_bench.study.pictures import Pictures, data_url
from spf_bench.table.model import collect
from spf_bench.triple import Category, Triple, image
from tests.bench.run.test_run import Planned

CELL = 64


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = HEAD + row * (CELL + GAP), LABEL + column * (CELL + GAP)
    return sheet[top : top + CELL, left : left + CELL]


def test_each_cell_is_the_portrait_of_its_method_and_triple(planned: Planned, tmp_path: Path) -> None:
    runs = [planned(name) for name in ("original", "prompt_only")]
    for run in runs:
        execute(run, Silent())
    sheet = np.asarray(Image.open(draw(collect(runs[0].runs), tmp_path / "out.png", n=3, cell=CELL)))
    for row, run in enumerate(runs):
        for column, triple in enumerate(run.triples[:3]):
            with Image.open(image(run.images, triple)) as portrait:
                expected = np.asarray(portrait.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST))
            assert np.array_equal(cell(sheet, row, column), expected)


BREAKS = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "checksum": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
    "chunk": lambda data: data[:37] + b"\0\0\0\0" + data[41:],
}
READERS = {
    "report": lambda path, triple: report_gallery([path.parent], [triple], 10**6),
    "figure": lambda path, triple: read(path),
    "study": lambda path, triple: Pictures(path.parent).add(path),
    "check": lambda path, triple: Pictures(path.parent).spoil(path, "0"),
    "ballot": lambda path, triple: data_url(path),
}


@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.parametrize("reader", READERS)
def test_a_broken_portrait_is_told(tmp_path: Path, broken: str, reader: str) -> None:
    triple = Triple("t0", "a", "b", Category.clothing, 0, ())
    path = image(tmp_path, triple)
    write_png(path, np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    path.write_bytes(BREAKS[broken](path.read_bytes()))
    with pytest.raises(UserError, match=r"cannot read .*t0[.]png"):
        READERS[reader](path, triple)


def test_a_sheet_with_a_lost_portrait_is_told(planned: Planned, tmp_path: Path) -> None:
    run = planned("original")
    execute(run, Silent())
    image(run.images, run.triples[0]).unlink()
    with pytest.raises(UserError, match="cannot read"):
        draw(collect(run.runs), tmp_path / "out.png", n=3, cell=CELL)


def test_nothing_to_draw_is_said(planned: Planned, tmp_path: Path) -> None:
    run = planned("original")
    execute(run, Silent())
    absent = next(c for c in Category if c not in {t.category for t in run.triples})
    with pytest.raises(UserError, match="nothing to draw"):
        draw(collect(run.runs), tmp_path / "out.png", category=absent)
    shutil.rmtree(run.images)
    with pytest.raises(UserError, match="no run here holds its images"):
        draw(collect(run.runs), tmp_path / "out.png")


@pytest.mark.parametrize(
    "label",
    ["SPF", "Untouched model, complete text", "SPF (spf.norm=mse, stage2.steps=1200, spf.phrase_map=minmax)", "W" * 60],
)
def test_a_long_label_is_broken_into_lines_that_fit(label: str) -> None:
    text, font = fitted(label, LABEL - 2 * MARGIN, 128)
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    assert right - left <= LABEL - 2 * MARGIN and bottom - top <= 128
    assert "".join(text.split()) == "".join(label.split())
