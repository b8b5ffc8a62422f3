"""The page on the Python API, done as it says: its pieces in order, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spf_bench.suite
from spf_bench import testset
from tests.bench.conftest import MiniSuite, make_triples

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
PIECES = dict(re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", PAGE, re.S))


@pytest.fixture
def desk(
    suite: MiniSuite,
    frozen: testset.TestSet,
    installed: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty folder, where the miniature stands in for the world."""
    testset.save(tmp_path / "testsets" / "world-v1", make_triples(16), "# mini\n")
    monkeypatch.setitem(spf_bench.suite.SUITES, "world", spf_bench.suite.SUITES["mini"])
    monkeypatch.chdir(tmp_path)


def test_every_piece_has_ten_lines_at_most() -> None:
    assert len(PIECES) == 6
    long = [name for name, code in PIECES.items() if len([line for line in code.splitlines() if line.strip()]) > 10]
    assert long == []


def test_the_readme_shows_pieces_of_the_page() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    wanted = ("Load a test set", "Sample", "Score a folder of images", "Make a table")
    assert shown == [PIECES[name] for name in wanted]


def test_the_pieces_run(desk: None, capsys: pytest.CaptureFixture[str]) -> None:
    said, names = {}, dict[str, dict[str, object]]()
    for name, code in PIECES.items():
        names[name] = {}
        exec(compile(code, name, "exec"), names[name])
        said[name] = capsys.readouterr().out
    assert "wearing sunglasses" in said["Load a test set"]
    assert names["Sample"]["images"].shape == (4, 64, 64, 3)  # type: ignore[attr-defined]
    assert len(list(Path("runs").rglob("record.json"))) == 2 and said["Run a method"].count("Score(mean=") == 2
    assert names["Score a folder of images"]["record"].n == 8  # type: ignore[attr-defined]
    table = said["Make a table"]
    assert "| Original portrait |" in table and "Prompt only {'fid'" in table
    assert (Path("stage1") / "unet" / "config.json").is_file()
