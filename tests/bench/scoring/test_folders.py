"""From two folders and a file to a record, by the command and from Python."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.metrics.clip_encoder import ClipEncoder
from spf_bench.metrics.segcons import SegCons
from spf_bench.metrics.segcons_anchors import after_jpeg
from spf_bench.record import CAPTIONS, RECORD, SCORES, RunRecord
from spf_bench.scoring.folders import score_folders
from spf_bench.scoring.one_batch import read_rgb
from tests.bench.metrics.stand_ins import ColourSegmenter

pytestmark = pytest.mark.usefixtures("suite", "frozen")
PAGE = Path(__file__).parents[3] / "docs" / "score.md"


def scored(theirs, out, **how):
    settings = {"name": "mine", "suite": "mini", "device": "cpu", "batch": 4} | how
    return score_folders(theirs.originals, theirs.images, theirs.captions, out=out, **settings)


def folder_of(record, out):
    return out / record.testset.name / record.run


def test_a_record_like_any_other_with_the_originals_beside_it(theirs, tmp_path, cli):
    record = scored(theirs, tmp_path / "runs")
    folder = folder_of(record, tmp_path / "runs")
    assert RunRecord.load(folder / RECORD) == record
    assert record.method.name == "mine" and record.n == 6 and record.facts["made"] == "elsewhere"
    assert list(pd.read_parquet(folder / SCORES).index) == sorted(t.id for t in theirs.triples)
    assert read_rgb(folder / "images" / f"{theirs.triples[0].id}.png").shape == (64, 64, 3)
    said = cli("table", "--runs", tmp_path / "runs").output
    assert said.count("n = 6, suite mini, images made elsewhere") == 1
    assert "Original portrait" in said and "mine" in said


def test_two_methods_share_a_table_and_a_report(theirs, tmp_path, cli):
    scored(theirs, tmp_path / "runs")
    theirs.images = theirs.originals
    scored(theirs, tmp_path / "runs", name="other")
    assert cli("table", "--runs", tmp_path / "runs").output.count("n = 6") == 1
    page = tmp_path / "report.html"
    assert cli("report", "--runs", tmp_path / "runs", "--to", page).exit_code == 0
    assert "0 steps" not in page.read_text()
    assert "wearing sunglasses" in page.read_text()  # the texts of a set that only this run has


def test_without_categories_there_is_a_table_and_a_report(theirs, tmp_path, cli):
    frame = pd.read_csv(theirs.captions).drop(columns="category")
    frame.to_csv(theirs.captions, index=False)
    record = scored(theirs, tmp_path / "runs")
    assert list(record.scores) == ["all"] and not (folder_of(record, tmp_path / "runs") / CAPTIONS).exists()
    page = tmp_path / "report.html"
    assert cli("report", "--runs", tmp_path / "runs", "--to", page).exit_code == 0


def test_originals_are_seen_once_for_all_methods_and_nothing_is_scored_twice(theirs, tmp_path, monkeypatch):
    shown = []
    encode = ClipEncoder.encode
    monkeypatch.setattr(ClipEncoder, "encode", lambda self, images: shown.append(len(images)) or encode(self, images))
    scored(theirs, tmp_path / "runs")
    assert sum(shown) == 12  # each image, by one CLIP
    scored(theirs, tmp_path / "runs")
    assert sum(shown) == 12
    for path in theirs.images.iterdir():
        Image.open(path).rotate(90).save(path)
    scored(theirs, tmp_path / "runs", name="turned")
    assert sum(shown) == 18  # the originals were known


def test_each_image_is_decoded_once(theirs, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        "spf_bench.scoring.one_batch.read_rgb", lambda path: read.append(path.parent.name) or read_rgb(path)
    )
    record = scored(theirs, tmp_path / "runs")
    assert read.count("images") == 6
    assert read.count("originals") == 12  # once for either row, both of whose sides the originals' own are
    assert record.scores["all"]["clip_t"].n == 6


def test_the_ceiling_is_measured_once_for_all_methods(theirs, tmp_path, monkeypatch, suite):
    own, squeezed = type(suite).metrics, []
    monkeypatch.setattr(type(suite), "metrics", lambda *a: [*own(*a), SegCons(ColourSegmenter())])
    monkeypatch.setattr(
        "spf_bench.metrics.segcons_anchors.after_jpeg", lambda image: squeezed.append(1) or after_jpeg(image)
    )
    first = scored(theirs, tmp_path / "runs", metrics=["seg_cons"])
    second = scored(theirs, tmp_path / "runs", metrics=["seg_cons"], name="other")
    assert len(squeezed) == 6 and first.anchors == second.anchors
    assert first.anchors["seg_cons"]["n"] == 6 and first.anchors["seg_cons"]["floor"] is None


def test_more_metrics_may_follow(theirs, tmp_path):
    first = scored(theirs, tmp_path / "runs", metrics=["clip_t"])
    assert [column.key for column in first.columns] == ["clip_t"]
    both = scored(theirs, tmp_path / "runs", metrics=["clip_i"])
    assert [column.key for column in both.columns] == ["clip_i", "clip_t"]
    assert "--metrics clip_i,clip_t" in both.command
    assert both.scores["all"]["clip_t"] == first.scores["all"]["clip_t"]


def test_columns_of_another_precision_or_of_other_code_stay(theirs, tmp_path, monkeypatch):
    out = tmp_path / "runs"
    exact = scored(theirs, out, metrics=["clip_i", "clip_t"])
    rough = scored(theirs, out, metrics=["clip_t"], dtype="bfloat16")
    assert exact.run != rough.run and RunRecord.load(folder_of(exact, out) / RECORD) == exact
    monkeypatch.setattr("spf_bench.scoring.fingerprint.CODE", ("spf_bench.stats",))
    after = scored(theirs, out, metrics=["clip_t"])
    assert after.run == exact.run and after.scoring_code != exact.scoring_code
    assert after.scores["all"]["clip_i"] == exact.scores["all"]["clip_i"]


def test_pixels_are_compared_in_the_papers_setting_without_a_checkpoint(theirs, tmp_path, monkeypatch):
    for name in ("SPF_BENCH_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    record = scored(theirs, tmp_path / "runs", suite="paper", metrics=["psnr"])
    assert [column.key for column in record.columns] == ["psnr"] and record.weights == {}
    more = scored(theirs, tmp_path / "runs", suite="paper", metrics=["ssim"])
    assert more.run == record.run and [column.key for column in more.columns] == ["psnr", "ssim"]


def test_one_pair_has_no_interval(theirs, tmp_path, cli):
    record = scored(theirs, tmp_path / "runs", limit=1, metrics=["clip_t"])
    score = record.scores["all"]["clip_t"]
    assert (score.n, score.lo, score.hi) == (1, None, None) and score.mean is not None
    rows = cli("table", "--runs", tmp_path / "runs", "--format", "csv").stdout
    assert "mine" in rows and "nan" not in rows.lower()
    said = cli("table", "--runs", tmp_path / "runs").stdout
    assert "±0" not in said and "±nan" not in said


def test_a_column_whose_metric_is_gone_is_not_dropped(theirs, tmp_path, monkeypatch, suite):
    before = scored(theirs, tmp_path / "runs")
    own = type(suite).metrics
    monkeypatch.setattr(type(suite), "metrics", lambda self, device: own(self, device)[:-1])
    monkeypatch.setattr("spf_bench.scoring.fingerprint.MEANING", 2)
    with pytest.raises(UserError, match="would be lost") as caught:
        scored(theirs, tmp_path / "runs", metrics=["fid"])
    assert [problem.subject for problem in caught.value.problems] == ["clip_t"]
    assert RunRecord.load(folder_of(before, tmp_path / "runs") / RECORD) == before


def test_both_records_have_the_command_that_makes_them(theirs, tmp_path):
    record = scored(theirs, tmp_path / "runs", name="mine", category="clothing")
    options = ("--name mine", "--category clothing", f"--out {tmp_path / 'runs'}")
    assert all(option in record.command for option in options)
    records = [RunRecord.load(path) for path in (tmp_path / "runs").rglob("record.json")]
    assert [one.command for one in records] == [record.command] * 2


def test_an_unknown_metric_leaves_nothing_behind(theirs, tmp_path):
    with pytest.raises(UserError, match="no metric of the suite 'mini' is called 'clip'"):
        scored(theirs, tmp_path / "runs", metrics=["clip"])
    assert not (tmp_path / "runs").exists()


def test_precision_is_recorded_and_never_in_one_table_with_another(theirs, tmp_path, cli):
    exact = scored(theirs, tmp_path / "runs")
    rough = scored(theirs, tmp_path / "rough", dtype="bfloat16")
    assert (exact.facts["precision"], rough.facts["precision"]) == ("float32", "bfloat16")
    assert rough.weights["judge_clip"].endswith(" in bfloat16") and exact.scoring != rough.scoring
    assert "SPF_BENCH_PRECISION" not in os.environ
    with pytest.raises(UserError, match="cannot compute in 'half'"):
        scored(theirs, tmp_path / "runs", dtype="half")


def test_every_undecodable_image_is_named(theirs, tmp_path):
    from PIL import PngImagePlugin

    names = [theirs.images / f"{triple.id}.png" for triple in theirs.triples[::3]]
    for path in names:
        with path.open("wb") as file:  # whole by its checksums, empty inside
            file.write(b"\x89PNG\r\n\x1a\n")
            PngImagePlugin.putchunk(file, b"IHDR", b"\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0")
            PngImagePlugin.putchunk(file, b"IDAT", b"nothing")
            PngImagePlugin.putchunk(file, b"IEND", b"")
    with pytest.raises(UserError, match="2 images cannot be decoded") as caught:
        scored(theirs, tmp_path / "runs")
    assert [problem.subject for problem in caught.value.problems] == [str(path) for path in names]


def test_the_command_warns_scores_and_shows_the_table(theirs, tmp_path, cli):
    first, second = (theirs.images / f"{triple.id}.png" for triple in theirs.triples[:2])
    Image.open(first).save(first.with_suffix(".jpg"))
    first.unlink()
    Image.open(second).save(theirs.images / "stray.png")
    said = cli("score", *theirs.words, "--out", tmp_path / "runs", "--name", "mine")
    assert said.exit_code == 0, said.output
    assert f"scored as changes: customised/{first.stem}.jpg" in said.output
    assert "no row of the captions has their id: customised/stray.png" in said.output
    assert "images made elsewhere" in said.output and "record  " in said.output


def test_a_method_is_called_like_its_folder_as_far_as_that_goes(theirs, tmp_path):
    theirs.images = theirs.images.rename(theirs.images.with_name("bilder ß"))
    assert scored(theirs, tmp_path / "runs", name=None, metrics=["clip_t"]).method.name == "bilder"
    theirs.images = theirs.images.rename(theirs.images.with_name("画像"))
    with pytest.raises(UserError, match="a method cannot be called like its folder 画像") as caught:
        scored(theirs, tmp_path / "runs", name=None)
    assert caught.value.why.startswith("ASCII letters")
    with pytest.raises(UserError, match="--name bilder ß does not do") as caught:
        scored(theirs, tmp_path / "runs", name="bilder ß")
    assert caught.value.why.startswith("bilder ß is no id: ASCII letters, digits")


@pytest.mark.parametrize(("words", "why"), [(["--limit", "9"], "6 rows"), (["--name", "original"], "own row")])
def test_what_cannot_be_meant_is_refused(theirs, tmp_path, cli, words, why):
    said = cli("score", *theirs.words, "--out", tmp_path / "runs", *words)
    assert said.exit_code == 2 and why in said.output and not (tmp_path / "runs").exists()


def test_beside_a_run_of_the_same_originals(theirs, tmp_path, cli, frozen):
    out = tmp_path / "runs"
    assert cli("run", "--method", "prompt_only", "--suite", "mini", "--runs", out, "--device", "cpu").exit_code == 0
    (run,) = (out / "mini").glob("prompt_only-*")
    (originals,) = (out / "cache").glob("originals-*")
    theirs.originals, theirs.images, theirs.captions = originals, run / "images", frozen.folder / "triples.jsonl"
    record = scored(theirs, out, run=run)
    known = RunRecord.load(run / RECORD)
    assert record.sampling == known.sampling and record.facts["beside"] == str(run)
    assert record.scores["all"]["clip_t"].mean == pytest.approx(known.scores["all"]["clip_t"].mean, abs=1e-6)
    said = cli("table", "--runs", out).output
    assert said.count("n = 6") == 1 and "sampled alike by the word of who scored them: mine" in said
    with pytest.raises(UserError, match="cannot stand beside") as caught:
        scored(theirs, out, run=run, limit=3)
    assert [problem.subject for problem in caught.value.problems] == ["n", "originals"]


def test_the_world_reads_its_own_portraits_alone(theirs, tmp_path):
    from tests.bench.scoring.conftest import Theirs

    with pytest.raises(UserError, match="suite 'world' cannot score") as caught:
        scored(Theirs(tmp_path / "large", size=32), tmp_path / "runs", suite="world")
    assert caught.value.problems[0].why == "are 32 x 32 pixels, its judges read 64 x 64"


def test_ten_lines_of_python(theirs, tmp_path, monkeypatch, capsys, suite):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spf_bench.scoring.folders.get_suite", lambda name: suite)
    monkeypatch.setattr("spf_bench.scoring.folders.pick_device", lambda device: "cpu")
    exec(compile(code.replace('"lpips"', '"clip_i"'), str(PAGE), "exec"), {})
    assert "clip_t" in capsys.readouterr().out


def test_help_is_light():
    code = "import sys, spf_bench.cli.app; print([m for m in ('torch', 'pandas', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
