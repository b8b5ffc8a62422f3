"""Each figure is drawn from records as PNG and PDF, or says which command makes what it lacks."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spf_bench import overlays, testset
from spf_bench.errors import UserError
from spf_bench.figures import FIGURES, Ask, draw
from spf_bench.figures.ask import choose
from spf_bench.figures.style import drawing
from spf_bench.figures.traces import supervision
from spf_bench.tracks import Track
from tests.bench.conftest import MiniSuite
from tests.bench.showcase import put, put_maps, show, triples

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
Shown = tuple[Path, testset.TestSet]


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return show(tmp_path, ("original", "naive", "spf"))


def drawn(number: str, ask: Ask, to: Path) -> np.ndarray:
    """Draw a figure and return its pixels, sure that both files are what their names say."""
    png, pdf = draw(number, ask, to)
    assert pdf.read_bytes().startswith(b"%PDF") and png.name == f"figure-{number}.png"
    with Image.open(png) as picture:
        return np.asarray(picture.convert("RGB"))


def holds(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Say whether a colour fills some of a picture, up to resampling."""
    near = (np.abs(picture.astype(int) - colour) <= 3).all(axis=2)
    return bool(near.mean() > 0.002)


def test_variants_stand_side_by_side(shown: Shown, tmp_path: Path) -> None:
    runs, frozen = shown
    ask = Ask(runs, n=2, testset=str(frozen.folder))
    with pytest.raises(UserError, match="no variants of spf") as refused:
        draw("7", ask, tmp_path)
    assert "ablate" in refused.value.fix
    put(runs, frozen, "spf", ("spf.w_text=0",), of="spf")
    picture = drawn("7", ask, tmp_path)
    assert holds(picture, (0, 0, 0)) and holds(picture, (120, 0, 0))  # the original's shade and SPF's
    assert not holds(picture, (80, 0, 0))  # naive is no variant of spf
    second = put(runs, frozen, "another seed", ("spf.w_text=0",), of="spf").folder / "record.json"
    second.write_text(json.dumps(json.loads(second.read_text()) | {"seed": 1, "preset": "default"}))
    assert np.array_equal(drawn("7", ask, tmp_path), picture)


def test_triples_are_chosen_or_named(shown: Shown) -> None:
    runs, _ = shown
    assert [t.id for t in choose(Ask(runs, n=3), triples())] == ["show-00", "show-01", "show-02"]
    assert [t.id for t in choose(Ask(runs, triples=("show-05",)), triples())] == ["show-05"]
    with pytest.raises(UserError, match="show-5"):
        choose(Ask(runs, triples=("show-5",)), triples())


def test_tracks_are_drawn_from_their_own_runs(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: MiniSuite
) -> None:
    monkeypatch.setattr(type(suite), "go_together", lambda self, phrases, targets: True)
    runs, frozen = shown
    ask = Ask(runs, n=1, testset=str(frozen.folder))
    for number, track in (("9", Track.retention), ("16", Track.sequence)):
        with pytest.raises(UserError, match=f"no {track} runs") as refused:
            draw(number, ask, tmp_path)
        assert f"--track {track}" in refused.value.fix
        for name in ("original", "naive", "spf"):
            put(runs, frozen, name, track=track)
        assert holds(drawn(number, ask, tmp_path), (80, 0, 0))


def test_maps_are_drawn_from_the_grids_beside_runs(shown: Shown, tmp_path: Path) -> None:
    runs, _ = shown
    for number, kind in (("2", "attention"), ("3", "sfcm")):
        with pytest.raises(UserError, match=f"no {kind} maps"):
            draw(number, Ask(runs), tmp_path)
        put_maps(runs, kind)
        assert holds(drawn(number, Ask(runs), tmp_path), (200, 200, 200))
    with pytest.raises(UserError, match="show-0"):
        draw("3", Ask(runs, triples=("show-0",)), tmp_path)


def test_grids_come_back_as_they_were_kept(shown: Shown, tmp_path: Path) -> None:
    runs, _ = shown
    kept = put_maps(runs)
    (path,) = overlays.keep(kept, runs, "s" * 64)
    found = overlays.load(path)
    assert (found.triple, found.kind, found.title) == ("show-01", "sfcm", "a woman, <i>")
    for strip, expected in zip(found.strips, kept.strips, strict=True):
        assert (strip.label, tuple(strip.heads)) == (expected.label, tuple(expected.heads))
        assert all(np.array_equal(a, b) for a, b in zip(strip.cells, expected.cells, strict=True))
    assert overlays.keep(kept, runs, "z" * 64) == []
    path.write_bytes(b"PK broken")
    with pytest.raises(UserError, match="is not a grid of maps"):
        overlays.load(path)


def test_a_sweep_is_drawn(tmp_path: Path) -> None:
    scores = {f"text={value}": {"fid": {"mean": 5 + value, "lo": 4 + value, "hi": 6 + value}} for value in (0.0, 0.2)}
    file = tmp_path / "runs" / "sweep" / "sweep.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"seeds": 1, "scores": {**scores, "no_sfcm": {"fid": {"mean": 4.0}}}}))
    assert drawn("13", Ask(tmp_path / "runs"), tmp_path).std() > 0
    file.write_text('{"scores": 3}')
    with pytest.raises(UserError, match="is no sweep"):
        draw("13", Ask(tmp_path / "runs"), tmp_path)


@pytest.mark.parametrize(
    "scores",
    [
        {"text=abc": {"fid": {"mean": 1}}},
        {"text=nan": {"fid": {"mean": 1}}},
        {"text=1": {"fid": [1]}},
        {"text=1": {"fid": {"mean": "x"}}},
        {"text=1": {"fid": {"mean": True}}},
        {"text=1": {"fid": {"mean": float("inf")}}},
        {"text=1": {"fid": {"mean": 10**400}}},
        {"text=1": {"fid": {"mean": 1, "lo": [], "hi": 2}}},
        {"text=1": {"fid": {"mean": 1}}, "no_sfcm": {"fid": {"mean": "x"}}},
        {"text=1": 3},
    ],
)
def test_a_sweep_of_no_numbers_is_told(tmp_path: Path, scores: dict[str, object]) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"scores": scores}))
    with pytest.raises(UserError, match=r"sweep.json is no sweep"):
        draw("13", Ask(tmp_path), tmp_path)


@pytest.mark.parametrize("without", [{}, {"fid": None}, {"fid": {}}, {"fid": {"mean": None}}])
def test_a_sweep_without_a_level_is_drawn(tmp_path: Path, without: dict[str, object]) -> None:
    scores = {"text=1": {"fid": {"mean": 1}}, "no_sfcm": without}
    (tmp_path / "sweep.json").write_text(json.dumps({"scores": scores}))
    assert drawn("13", Ask(tmp_path), tmp_path).std() > 0


def test_a_tally_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "tally.json"
    pair = {"a": "SPF", "b": "$LoRA_", "votes_a": 3, "votes_b": 1}
    file.write_text(json.dumps({"questions": {"OBC": [pair], "TAR": [pair, pair]}}))
    assert holds(drawn("8", Ask(tmp_path, data=(file,)), tmp_path), (0x25, 0x59, 0xC4))
    file.write_text(json.dumps({"questions": {"OBC": [{**pair, "votes_b": -1}]}}))
    with pytest.raises(UserError, match="votes are not negative"):
        draw("8", Ask(tmp_path, data=(file,)), tmp_path)


def test_traces_are_drawn_with_their_samples(shown: Shown, tmp_path: Path) -> None:
    runs, _ = shown
    for name in ("difference", "clip"):
        folder = runs / "train" / name / "trace"
        (folder / "stage2-000010").mkdir(parents=True)
        rows = [{"stage": "stage2", "step": step, "clip_t": 0.1, "clip_t_half": 0.01, "hps": None} for step in (10, 20)]
        (folder / "trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        Image.new("RGB", (64, 64), (10, 200, 30)).save(folder / "stage2-000010" / "a.png")
    assert holds(drawn("5", Ask(runs), tmp_path), (10, 200, 30))
    training = runs / "train" / "clip"
    for data in (training, training / "trace", training / "trace" / "trace.jsonl"):
        assert holds(drawn("5", Ask(runs, data=(data,)), tmp_path), (10, 200, 30))
    with pytest.raises(UserError, match="is no trace"):
        draw("5", Ask(runs, data=(tmp_path,)), tmp_path)


def test_the_legend_of_traces_lies_over_no_panel(tmp_path: Path) -> None:
    rows = [{"stage": "stage2", "step": step, "clip_t": 0.1, "hps": 0.2} for step in (10, 20)]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with drawing():
        figure = supervision(Ask(tmp_path))
    (legend,) = figure.legends
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_every_figure_says_what_it_lacks(tmp_path: Path) -> None:
    runs, frozen = show(tmp_path, ("original",), n=2)
    for number in FIGURES:
        with pytest.raises(UserError) as refused:
            draw(number, Ask(runs, testset=str(frozen.folder)), tmp_path)
        assert "spf-bench" in refused.value.fix


def test_the_same_figure_is_the_same_file(shown: Shown, tmp_path: Path) -> None:
    put_maps(shown[0])
    first, second = (draw("3", Ask(shown[0]), tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="drawn by matplotlib") as refused:
        draw("8", Ask(tmp_path), tmp_path)
    assert "'.[figures]'" in refused.value.fix
