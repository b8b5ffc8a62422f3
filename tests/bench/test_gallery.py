"""The picture shows what the runs hold: a row per method, the original's first, or says why there is none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from spf_bench.errors import UserError
from spf_bench.gallery import GAP, HEAD, LABEL, MARGIN, draw, fitted
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.table.model import collect
from spf_bench.triple import Category, image
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
