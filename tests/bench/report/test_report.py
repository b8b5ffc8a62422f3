"""The page says what the records say, fits its limit, needs nobody, and takes no text for HTML."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.report import curves, write
from spf_bench.report.axes import Axis, ticks
from spf_bench.report.disagreement import pairs, rho
from spf_bench.report.front import pareto
from spf_bench.report.labels import Box, place
from spf_bench.report.portraits import gallery
from spf_bench.report.provenance import metrics
from spf_bench.report.scatter import plots
from spf_bench.report.source import read
from spf_bench.table.model import collect
from spf_bench.tracks import Track
from spf_bench.triple import image
from tests.bench.showcase import COLUMNS, HOSTILE, METHODS, put, put_log, put_maps, relabel, show, triples


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Path, testset.TestSet]:
    return show(tmp_path)


def test_the_page_holds_what_the_records_say(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, frozen = shown
    put_log(runs)
    put_maps(runs)
    made = write(collect(runs), tmp_path / "out" / "report.html", str(frozen.folder))
    text = made.path.read_text(encoding="utf-8")
    assert (made.shown, made.of, made.size) == (14, 14, made.path.stat().st_size)
    for told in ("Naive fine-tuning", "over-aligned", "stage1", "soft map M", "facial attributes", "f" * 12, "e" * 64):
        assert told in text
    assert text.count('class="board"') == 3  # all targets and the two categories
    assert "with changes" in text  # the commit was dirty


def test_seeds_stand_together_or_as_one_row(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, frozen = shown
    second = put(runs, frozen, "again", of="spf").folder / "record.json"
    facts = json.loads(second.read_text()) | {"seed": 1, "created": "2026-02-01T00:00:00+00:00", "preset": "default"}
    facts["method"]["trains"] = True
    second.write_text(json.dumps(facts))
    each, mean = (read(collect(runs), str(frozen.folder), mean) for mean in (False, True))
    labels = [row.label for row in each.table.rows]
    assert labels.index("SPF (seed 1)") == labels.index("SPF (seed 0)") + 1
    assert len(mean.table.rows) == mean.methods == len(METHODS) and [row.label for row in mean.rows] == labels
    values = [row.cells["lpips"].score.mean for row in each.table.rows if row.label.startswith("SPF")]
    (spf,) = (row.cells["lpips"].score.mean for row in mean.table.rows if row.label == "SPF")
    assert spf == pytest.approx(sum(values) / 2) and values[0] != values[1]
    made = write(collect(runs), tmp_path / "report.html", str(frozen.folder), mean=True)
    text = made.path.read_text(encoding="utf-8")
    assert "mean of 2 seeds: SPF" in text and "<small>6 runs</small>" in text and "run --method again" in text


def test_no_text_becomes_html_and_nothing_is_loaded(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, frozen = shown
    text = write(collect(runs), tmp_path / "report.html", str(frozen.folder)).path.read_text(encoding="utf-8")
    assert HOSTILE not in text and "\\u003cimg src=x" in text
    assert text.count("</script>") == 2
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text) and "@import" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None and "default-src 'none'" in policy[1].replace("&#39;", "'")


def test_portraits_shrink_and_then_are_fewer(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, frozen = shown
    whole = write(collect(runs), tmp_path / "whole.html", str(frozen.folder))
    small = write(collect(runs), tmp_path / "small.html", str(frozen.folder), most=whole.size - 3_000)
    assert small.size <= whole.size - 3_000 and 0 < small.shown <= 14
    assert "of quality" in small.path.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="no report fits into"):
        write(collect(runs), tmp_path / "none.html", str(frozen.folder), most=1_000)
    assert not (tmp_path / "none.html").exists()


def test_a_gallery_keeps_its_budget(shown: tuple[Path, testset.TestSet]) -> None:
    runs, frozen = shown
    folders = [entry.folder / "images" for entry in collect(runs)]
    best = gallery(folders, frozen.triples, 10_000_000)
    assert best.quality is None and best.edge == 64 and len(best.images) == 14
    for budget in (3_000, 9_000, 20_000):
        some = gallery(folders, frozen.triples, budget)
        assert sum(len(text) for row in some.images for text in row if text) <= budget
        assert [t.id for t in some.triples] == [t.id for t in frozen.triples[: len(some.images)]]
    image(folders[0], frozen.triples[3]).unlink()
    assert gallery(folders, frozen.triples, 10_000_000).images[3][0] is None


def test_without_images_or_test_set_a_page_still_comes(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, _ = shown
    for entry in collect(runs):
        shutil.rmtree(entry.folder / "images")
    made = write(collect(runs), tmp_path / "report.html")
    text = made.path.read_text(encoding="utf-8")
    assert made.shown == 0 and "No run here holds its images" in text and "texts are missing" in text
    testset.save(tmp_path / "other" / "show", triples(3), "# other\n")
    with pytest.raises(UserError, match="is not the test set of these runs"):
        write(collect(runs), tmp_path / "x.html", str(tmp_path / "other" / "show"))


def test_a_metric_that_no_run_has_is_of_no_triple(shown: tuple[Path, testset.TestSet]) -> None:
    table = read(collect(shown[0])).table
    rows = tuple(replace(row, cells={}) for row in table.rows)
    assert {facts.n for facts in metrics(replace(table, rows=rows))} == {"0"}


def test_runs_that_cannot_be_compared_stand_apart(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    runs, frozen = shown
    for name in ("original", "naive"):
        put(runs, frozen, name, track=Track.retention)
    relabel(put(runs, frozen, "spf", ("a=1",)), scoring="other")
    source = read(collect(runs), str(frozen.folder))
    assert len(source.table.rows) == 5 and [len(t.rows) for t in source.others] == [1, 2]
    text = write(collect(runs), tmp_path / "r.html", str(frozen.folder)).path.read_text(encoding="utf-8")
    assert "2 more tables" in text


def test_the_front_leaves_out_what_has_not_responded(shown: tuple[Path, testset.TestSet]) -> None:
    runs, frozen = shown
    plot = next(p for p in plots(read(collect(runs), str(frozen.folder)).table) if p.key == "clip_t|lpips")
    states = {mark.name: mark.state for mark in plot.marks}
    assert states == {
        "Original portrait": "reference",
        "Prompt only": "front",
        "SPF": "front",
        "Naive fine-tuning": "front",
        "Frozen (over-aligned)": "unresponsive",
    }
    at = {mark.name: mark for mark in plot.marks}
    assert at["Prompt only"].y < at["SPF"].y < at["Naive fine-tuning"].y  # lower LPIPS stands higher
    assert at["Prompt only"].x < at["SPF"].x < at["Naive fine-tuning"].x
    assert plot.limit == at["Original portrait"].x and len(plot.front.split()) == 5


def test_a_point_is_beaten_only_by_one_at_least_as_good_in_both() -> None:
    assert pareto([(1, 3), (2, 2), (3, 1), (1, 2), (2, 2)]) == [0, 1, 2, 4]


def test_rho_is_spearmans() -> None:
    from scipy.stats import spearmanr

    a, b = np.random.default_rng(0).normal(size=(2, 6, 5))
    a[1, :2] = a[1, 0]  # a tie
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert np.allclose(rho(a, b), expected)
    b[2] = 1.0
    a[3, 0] = np.nan
    assert np.isnan(rho(a, b)[[2, 3]]).all()


def test_the_most_opposite_triples_come_first() -> None:
    ids = ["t0", "t1", "t2"]
    # By LPIPS (lower is better) the order of the three methods is 0, 1, 2 everywhere.
    lpips = [[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.3, 0.3, 0.3]]
    clip = [[0.9, 0.1, 0.2], [0.8, 0.2, 0.9], [0.7, 0.9, 0.3]]
    frames = [pd.DataFrame({"lpips": a, "clip_i": b}, index=ids) for a, b in zip(lpips, clip, strict=True)]
    (pair,) = pairs(frames, COLUMNS, ids)
    assert (pair.a.key, pair.b.key) == ("lpips", "clip_i")
    assert pair.triples == [("t1", pytest.approx(-1.0)), ("t2", pytest.approx(-0.5))]


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-3.2, 7.1, 4) == [0.0, 5.0]
    assert ticks(2.0, 2.0) == [2.0]
    axis = Axis.around([0.0, 10.0], 100.0, 0.0, room=0.0)
    assert (axis.place(0.0), axis.place(2.5), axis.place(99.0)) == (100.0, 75.0, 0.0)
    assert axis.flipped().place(2.5) == 25.0


def test_names_keep_clear_of_each_other() -> None:
    points = [(100.0, 100.0), (104.0, 101.0), (380.0, 100.0)]
    frame = Box(0, 0, 400, 200)
    boxes = [label.box for label in place(points, ["one name", "another", "at the edge"], frame)]
    assert all(a.overlap(b) == 0 for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    assert all(frame.overlap(box) == pytest.approx(box.area) for box in boxes)


def test_a_shared_training_is_one_curve(shown: tuple[Path, testset.TestSet]) -> None:
    runs, frozen = shown
    put_log(runs)
    source = read(collect(runs), str(frozen.folder))
    (stage,) = curves.stages(source.table.rows, source.folders)
    assert stage.name == "stage1" and [panel.term for panel in stage.panels] == ["loss"]
    (curve,) = stage.panels[0].curves
    assert len(curve.points.split()) <= curves.BINS and "SPF" in curve.told and "Naive" in curve.told
    assert curves.find_log(source.folders[source.table.rows[0].record.run], "../../etc") is None


def test_what_the_first_step_lacks_has_its_curve(shown: tuple[Path, testset.TestSet]) -> None:
    runs, frozen = shown
    put_log(runs)
    log = runs / "cache" / "checkpoints" / "stage1-abc" / "log.jsonl"
    rows = [{"step": 1, "loss": 1.0, "skipped": 1.0}, {"step": 2, "loss": 0.5, "passes": 2.0, "grad_norm": 3.0}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = read(collect(runs), str(frozen.folder))
    (stage,) = curves.stages(source.table.rows, source.folders)
    assert [panel.term for panel in stage.panels] == ["loss", "grad_norm"]


def test_the_commands_say_what_they_wrote_or_lack(shown: tuple[Path, testset.TestSet], tmp_path: Path) -> None:
    from spf_bench.cli.app import app

    runs, frozen = shown
    words = ["--runs", str(runs), "--testset", str(frozen.folder)]
    done = CliRunner().invoke(app, ["report", *words, "--to", str(tmp_path)])
    assert done.exit_code == 0 and str(tmp_path / "report.html") in done.output
    done = CliRunner().invoke(app, ["figure", "7", *words, "--to", str(tmp_path)])
    assert done.exit_code == 2 and "spf-bench ablate --table 1" in done.output
