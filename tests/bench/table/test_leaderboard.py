"""Tests of significance, means over seeds, the paper's shapes, and files in every format."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spf_bench.errors import UserError
from spf_bench.record import MethodFacts
from spf_bench.stats import compare, holm
from spf_bench.table import significance
from spf_bench.table.formats import Format
from spf_bench.table.layout import tex
from spf_bench.table.leaderboard import Wanted, boards, format_of, show
from spf_bench.table.model import build, collect
from tests.bench.table.test_table import put, score

Cli = Callable[..., object]
N = 40


def around(mean: float, seed: int = 0, noise: float = 0.01) -> tuple[float, ...]:
    return tuple(mean + noise * np.random.default_rng(seed).normal(size=N))


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Original, and three methods: two that differ by noise alone, one far below."""
    put(tmp_path, "original", fid=0.0, clip_t=around(0.1, 9))
    put(tmp_path, "spf", fid=2.0, clip_t=around(0.301, 1), kept=score(90.0, N))
    put(tmp_path, "naive", fid=4.0, clip_t=around(0.3, 2), kept=score(80.0, N))
    put(tmp_path, "prompt_only", fid=3.0, clip_t=around(0.2, 3), kept=score(95.0, N))
    return tmp_path


def test_best_and_second_are_marked(three: Path) -> None:
    (table,) = build(collect(three))
    won = {row.record.method.name: row.cells["fid"] for row in table.rows}
    assert won["spf"].best and won["prompt_only"].second and not won["naive"].second and not won["original"].best
    text = show(collect(three), Wanted(), Format.text)
    assert "2.00*" in text and "3.00°" in text
    assert r"\underline{3.00}" in show(collect(three), Wanted(), Format.tex)
    assert "<u>3.00</u>" in show(collect(three), Wanted(), Format.md)


def test_where_two_share_the_best_nobody_is_second(tmp_path: Path) -> None:
    for name in ("spf", "naive"):
        put(tmp_path, name, fid=2.0)
    put(tmp_path, "prompt_only", fid=3.0)
    (table,) = build(collect(tmp_path))
    assert [row.cells["fid"].best for row in table.rows].count(True) == 2
    assert not any(row.cells["fid"].second for row in table.rows)


def test_tests_are_paired_against_the_best_and_corrected_over_the_methods(three: Path) -> None:
    entries = collect(three)
    (table,) = build(entries)
    found = {test.row.record.method.name: test for test in significance.tests(table, entries)}
    assert set(found) == {"naive", "prompt_only"}  # spf is the best; the original does not compete
    assert {test.against.record.method.name for test in found.values()} == {"spf"}
    frames = {entry.record.method.name: entry.scores()["clip_t"] for entry in entries}
    raw = [compare(frames[name], frames["spf"]).p for name in ("naive", "prompt_only")]
    assert [found[name].difference.p for name in ("naive", "prompt_only")] == holm(raw)
    assert found["prompt_only"].difference.p < 0.001 < 0.05 < found["naive"].difference.p


def test_tests_against_a_method_of_ones_choice(three: Path) -> None:
    text = show(collect(three), Wanted(against="naive"), Format.text)
    assert "Differences from Naive fine-tuning" in text and "−0.1" in text and "no test: FID, Kept %" in text
    with pytest.raises(UserError, match="does not compete"):
        show(collect(three), Wanted(against="original"), Format.text)
    with pytest.raises(UserError, match="no method in this table is called 'naiv'"):
        show(collect(three), Wanted(against="naiv"), Format.text)


def test_an_overaligned_method_is_not_tested(three: Path) -> None:
    put(three, "spf", clip_t=around(0.1, 9), preset="quick")
    entries = collect(three)
    (table,) = build(entries)
    assert all(test.row.record.preset != "quick" for test in significance.tests(table, entries))


def test_seeds_become_one_row_with_a_note_and_categories(tmp_path: Path) -> None:
    put(tmp_path, "original", fid=0.0, clip_t=around(0.1))
    for seed in range(3):
        put(tmp_path, "spf", fid=1.0 + seed, clip_t=around(0.3 + 0.01 * seed, seed), seed=seed)
    (board,) = boards(collect(tmp_path), Wanted(mean=True))
    row = board.table.rows[1]
    assert row.label == "SPF" and row.cells["fid"].score.mean == 2.0
    assert "mean of 3 seeds: SPF" in board.table.notes
    both = boards(collect(tmp_path), Wanted(mean=True, by_part=True))
    assert [b.table.category for b in both] == ["all", "clothing"]
    assert both[1].table.rows[1].cells["clip_t"].score.mean == pytest.approx(row.cells["clip_t"].score.mean)


def test_the_papers_shape_takes_its_rows_in_its_order(tmp_path: Path) -> None:
    put(tmp_path, "prompt_only", fid=9.0)
    whole = MethodFacts("spf", "SPF", "tests", {}, True, False)
    put(tmp_path, "spf", fid=1.0, method=whole)
    put(tmp_path, "spf", fid=2.0, method=MethodFacts("spf", "SPF", "tests", {}, True, False, ["spf.norm=l2"]))
    put(tmp_path, "naive", fid=3.0)
    (board,) = boards(collect(tmp_path), Wanted(shape="5"))
    assert [row.label for row in board.table.rows] == ["Prompt only", "Only stage 1", "Both stages (SPF)"]
    assert board.table.heading.startswith("in the shape of Table 5")
    assert any("Only stage 2 (spf-bench run --method spf --set stage1=null)" in note for note in board.table.notes)
    with pytest.raises(UserError, match="a row of Table 4"):
        (tmp_path / "other").mkdir()
        put(tmp_path / "other", "prompt_only")
        boards(collect(tmp_path / "other"), Wanted(shape="4"))


@pytest.mark.parametrize("mean", [False, True])
def test_rows_of_the_papers_shape_are_told_apart_by_their_settings(tmp_path: Path, mean: bool) -> None:
    variants = {"all": [], "lora": ["stage2.trainable=lora"], "cross_attention": ["stage2.trainable=cross_attention"]}
    for trained, changes in variants.items():
        method = MethodFacts("spf", "SPF", "tests", {"stage2": {"trainable": trained}}, True, False, changes)
        for seed in (0, 1):
            put(tmp_path, "spf", fid=float(len(trained)), clip_t=around(0.3, seed), method=method, seed=seed)
    only_first = MethodFacts("spf", "SPF", "tests", {}, True, False, ["stage2=null"])
    put(tmp_path, "spf", clip_t=around(0.3), method=only_first)
    put(tmp_path, "naive", fid=5.0, clip_t=around(0.3))
    put(tmp_path, "original", clip_t=around(0.1))
    found = {}
    for number in ("1", "4"):
        (board,) = boards(collect(tmp_path), Wanted(shape=number, mean=mean))
        found[number] = {row.label: row.cells["fid"].score.mean for row in board.table.rows}
    expected = {"Full weights (SPF)": 3.0, "LoRA on cross-attention": 4.0, "Cross-attention": 15.0}
    by_seed = {f"{row} (seed {seed})": fid for row, fid in expected.items() for seed in (0, 1)}
    assert list(found["4"].items())[1:] == list((expected if mean else by_seed).items())
    assert list(found["1"])[1:] == ["Naive Fine-Tuning", *(["SPF"] if mean else ["SPF (seed 0)", "SPF (seed 1)"])]


def test_json_holds_everything_that_was_asked_for(three: Path) -> None:
    told = json.loads(show(collect(three), Wanted(significance=True, costs=True, published=True), Format.json))
    (table,) = told["tables"]
    assert {row["method"]: row["scores"]["fid"]["mean"] for row in table["rows"]}["spf"] == 2.0
    assert table["significance"]["rows"][0]["metric"] == "clip_t" and table["costs"]["rows"]
    assert told["published"][0]["rows"][0]["fid"] == 20.41


def test_files_are_written_by_their_endings(three: Path, cli: Cli, tmp_path: Path) -> None:
    words = [w for end in ("md", "csv", "tex", "json") for w in ("--to", tmp_path / "out" / f"board.{end}")]
    done = cli("table", "--runs", three, "--significance", "--vs", "published", *words)
    assert done.exit_code == 0, done.output
    assert done.stdout == "" and done.stderr.count("table  ") == 4
    starts = {path.suffix: path.read_text()[:6] for path in (tmp_path / "out").iterdir()}
    assert starts == {".md": "**worl", ".csv": "suite,", ".tex": "% need", ".json": '{\n  "t'}
    wrong = cli("table", "--runs", three, "--to", tmp_path / "board.xlsx", "--to", tmp_path / "new.md")
    assert wrong.exit_code == 2 and ".tex" in wrong.stderr and not (tmp_path / "new.md").exists()


def test_every_ending_is_known() -> None:
    assert format_of(Path("a.MD")) is Format.md and format_of(Path("b.txt")) is Format.text


def test_published_is_an_alias(three: Path, cli: Cli) -> None:
    old, new = (cli("table", "--runs", three, *words).stdout for words in (("--published",), ("--vs", "published")))
    assert old == new and "Published figures" in old


def test_words_are_safe_in_latex() -> None:
    assert tex("50% of a_b & {x} ~ λ\\") == (r"50\% of a\_b \& \{x\} \textasciitilde{} $\lambda$\textbackslash{}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(three: Path, tmp_path: Path) -> None:
    wanted = Wanted(significance=True, costs=True, published=True)
    fragment = show(collect(three), wanted, Format.tex)
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + fragment + "\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
