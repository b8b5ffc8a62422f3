"""``spf-bench train``: its settings, its sources, resuming by the same command, and the trace."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from baselines.plot import Panel, plot, ticks
from spf_bench import testset
from tests.bench.conftest import MiniSuite, make_triples

Cli = Callable[..., object]
SMALL = ("--suite", "mini", "--device", "cpu", "--preset", "quick")


@pytest.fixture
def validation(frozen: testset.TestSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation set beside the miniature test set."""
    testset.save(frozen.folder.parent / "mini-val", make_triples(4), "# mini-val\n")
    monkeypatch.setattr(MiniSuite, "validation", "mini-val")


def test_the_suites_own_model_is_trained_traced_and_left_alone_when_finished(
    cli: Cli, validation: None, tmp_path: Path
) -> None:
    words = ("train", *SMALL, "--out", tmp_path / "out", "--set", "stage1=null", "--set", "stage2.steps=2")
    done = cli(*words, "--trace", "--trace-every", 2, "--trace-limit", 2)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/pipeline/model_index.json").is_file() and "pipeline  " in done.stdout
    rows = [json.loads(line) for line in (tmp_path / "out/trace/trace.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [("stage2", 0), ("stage2", 2)]
    assert all(-1 <= row["clip_t"] <= 1 and row["n"] == 2 for row in rows)
    assert (tmp_path / "out/trace/trace.png").is_file()
    assert "stage2, step 2: CLIP-T" in done.stderr


def test_ones_own_portraits_are_traced_where_the_judges_know_the_model(
    cli: Cli, validation: None, tmp_path: Path, suite: MiniSuite
) -> None:
    portraits = tmp_path / "portraits"
    portraits.mkdir()
    rows = [
        {"file_name": f"{i}.png", "base": "a man", "target": "red hair", "category": "appearance"} for i in range(2)
    ]
    for row in rows:
        Image.new("RGB", (64, 64), (90, 60, 30)).save(portraits / row["file_name"])
    (portraits / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ("--data", portraits, "--base-model", suite.pipeline, "--clip", suite.clip)
    words = ("train", *SMALL, "--out", tmp_path / "out", "--set", "stage2=null", "--set", "stage1.steps=1")
    done = cli(*words, *model, "--trace", "--trace-limit", 1)
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "out/trace/trace.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--method", "spg"), "did you mean 'spf'"),
        (("--preset", "papr"), "did you mean 'paper'"),
        (("--data", "portraits"), "--base-model is missing"),
        (("--base-model", "some/model"), "--data is missing"),
        (("--set", "stage1.lrr=1", "--set", "spf.norm=l1"), "did you mean 'stage1.lr'"),
        (("--set", "stage1=null", "--set", "stage2=null"), "nothing to train"),
        (("--trace",), "cannot be traced"),
        (("--config", "nowhere.yaml"), "cannot read nowhere.yaml"),
    ],
)
def test_mistakes_are_explained_before_anything_is_trained(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = cli("train", *SMALL, "--out", tmp_path / "out", *words)
    assert done.exit_code == 2 and complaint in done.stderr and "Traceback" not in done.output
    assert not (tmp_path / "out" / "stage1").exists()


def test_round_ticks() -> None:
    assert ticks(0, 0.04) == [0, 0.01, 0.02, 0.03, 0.04]
    assert ticks(2.1, 4.5) == [2.5, 3, 3.5, 4, 4.5]
    assert len(ticks(0, 7)) >= 4 and ticks(-1, 1)[0] == -1


def test_panels_stand_side_by_side(tmp_path: Path) -> None:
    curves = {"a": [(0, 1.0, 0.1), (1, 2.0, None)], "b": [(0, 3.0, None)]}
    made = plot(
        [Panel("FID", "x", curves, ("level", 2.0)), Panel("one", "x", {"": [(1, 1.0, None)]})], tmp_path / "p.png"
    )
    with Image.open(made) as picture:
        assert picture.width > 1.5 * picture.height
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 3
