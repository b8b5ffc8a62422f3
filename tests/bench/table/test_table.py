"""What may stand side by side, who wins a column, who is flagged, and how it looks."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from spf_bench import record as records
from spf_bench.environment import Environment
from spf_bench.errors import UserError
from spf_bench.files.store import write_parquet
from spf_bench.metrics.catalogue import catalogue
from spf_bench.record import SCORES, Column, MethodFacts, RunRecord, Score, column_of
from spf_bench.suite import Sampling
from spf_bench.table.data import plain
from spf_bench.table.formats import Format, Interval, render, render_published
from spf_bench.table.leaderboard import Wanted, boards, show
from spf_bench.table.model import Table, build, collect, groups
from spf_bench.table.seeds import differences, merge

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = [
    Column("fid", "FID", "preservation", False, 2, "arXiv:1706.08500", "no"),
    Column("clip_t", "CLIP-T", "responsiveness", True, 3, "arXiv:2103.00020", "no"),
    Column("kept", "Kept %", "world", True, 1, "spf-bench", "no"),
]
TITLES = {"original": "Original portrait", "prompt_only": "Prompt only", "naive": "Naive fine-tuning", "spf": "SPF"}


def score(mean: float | None, n: int = 4, missing: int = 0, reason: str | None = None) -> Score:
    width = None if mean is None else 0.05 * abs(mean)
    lo, hi = (None, None) if mean is None or width is None else (mean - width, mean + width)
    return Score(mean, lo, hi, n, missing, reason)


def put(
    folder: Path,
    name: str,
    fid: float = 1.0,
    clip_t: Sequence[float] = (0.1, 0.1, 0.1, 0.1),
    kept: Score | None = None,
    **changes: object,
) -> RunRecord:
    """Write a run with these scores below ``folder``."""
    n = len(clip_t)
    trains = name in ("naive", "spf")
    found = {
        "fid": replace(score(fid, n), reason=f"{n} images for 64 features: biased upwards"),
        "clip_t": score(sum(clip_t) / n, n),
        "kept": kept or score(90.0, n),
    }
    record = RunRecord(
        schema=1,
        run=f"{name}-{len(list(folder.rglob('record.json')))}",
        created=f"2026-01-0{1 + len(list(folder.rglob('record.json')))}T00:00:00+00:00",
        command=f"spf-bench run --method {name} --suite world --testset world-v1 --limit 4",
        method=MethodFacts(name, TITLES[name], "tests", {}, trains, name == "original"),
        suite="world",
        testset=records.TestSetFacts("world-v1", "a" * 64, 512),
        n=n,
        limit=n,
        preset="default" if trains else None,
        seed=0 if trains else None,
        sampling=Sampling("dpmsolver++2m", 15, 4.0),
        batch=32,
        originals_sha256="b" * 64,
        images_sha256="c" * 64,
        scoring="d" * 12,
        columns=COLUMNS,
        scores={"all": found, "clothing": found},
        training={},
        weights={"pipeline": "e" * 64},
        seconds={},
        environment=Environment(None, None, "3.11", "Linux", "cpu", 1, {}),
    )
    record = replace(record, **changes)  # type: ignore[arg-type]
    place = folder / record.run
    ids = pd.Index([f"t{i}" for i in range(n)], name="id")
    write_parquet(place / SCORES, pd.DataFrame({"category": "clothing", "clip_t": list(clip_t)}, index=ids))
    record.save(place)
    return record


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Original, prompt only, naive (responds, pollutes) and an spf that keeps all and answers nothing."""
    put(tmp_path, "spf", fid=0.5, clip_t=(0.1, 0.101, 0.1, 0.099), kept=score(99.0))
    put(tmp_path, "naive", fid=20.0, clip_t=(0.2, 0.25, 0.3, 0.2), kept=score(60.0, 3, 1, "the judge is unsure"))
    put(tmp_path, "original", fid=0.0, kept=score(100.0))
    put(tmp_path, "prompt_only", fid=3.0, clip_t=(0.15, 0.16, 0.14, 0.15), kept=score(95.0))
    return tmp_path


def only(folder: Path) -> Table:
    (table,) = build(collect(folder))
    return table


def best(table: Table, key: str) -> list[str]:
    return [row.record.method.name for row in table.rows if row.cells[key].best]


def test_rows_stand_in_order_and_winners_are_comparable(four: Path) -> None:
    table = only(four)
    assert [row.record.method.name for row in table.rows] == ["original", "prompt_only", "spf", "naive"]
    assert best(table, "fid") == ["prompt_only"]  # neither the original nor the unresponsive spf
    assert best(table, "clip_t") == ["naive"]
    assert table.n == 4 and "n = 4" in table.heading and "guidance 4" in table.heading


def test_over_alignment_is_told_by_the_paired_interval(four: Path) -> None:
    table = only(four)
    assert {row.record.method.name: row.unresponsive for row in table.rows} == {
        "original": False,
        "prompt_only": False,
        "spf": True,
        "naive": False,
    }
    assert any("over-aligned" in note for note in table.notes)


def lose(parquet: Path, response: list[float] | None) -> None:
    """Give a run's scores per triple another response, none, or remove them where there was none."""
    frame = pd.read_parquet(parquet).drop(columns="clip_t")
    parquet.unlink()
    if response is not None:
        write_parquet(parquet, frame.assign(clip_t=response) if response else frame)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(by_part=True), Wanted(shape="5")], ids=["all", "part", "shape"])
@pytest.mark.parametrize("response", [None, [], [float("nan")] * 4], ids=["no parquet", "no column", "no number"])
def test_who_cannot_be_told_to_have_responded_wins_nothing(
    four: Path, response: list[float] | None, wanted: Wanted
) -> None:
    lose(four / "spf-0" / SCORES, response)
    for board in boards(collect(four), wanted):
        (spf,) = [row for row in board.table.rows if row.record.method.name == "spf"]
        assert not spf.unresponsive and not spf.competes and not any(cell.best for cell in spf.cells.values())
        assert best(board.table, "fid") == ["prompt_only"]
        assert f"not ranked: CLIP-T not measured triple by triple: {spf.label}" in board.table.notes
        told = {row["method"]: row["over_aligned"] for row in plain(board.table)["rows"]}
        assert told["spf"] is None and told["naive"] is False


def test_a_mean_of_seeds_one_of_which_did_not_measure_the_response_wins_nothing(four: Path) -> None:
    put(four, "spf", fid=0.4, clip_t=(0.3, 0.3, 0.3, 0.3), seed=1)
    lose(four / "spf-0" / SCORES, [])
    (board,) = boards(collect(four), Wanted(mean=True))
    assert best(board.table, "fid") == ["prompt_only"]
    assert "not ranked: CLIP-T not measured triple by triple: SPF" in board.table.notes


def test_where_the_original_has_no_response_all_compete(four: Path) -> None:
    for run in ("original-2", "spf-0"):
        lose(four / run / SCORES, [])
    table = only(four)
    assert best(table, "fid") == ["spf"] and not any("not ranked" in note for note in table.notes)
    assert "CLIP-T was not measured triple by triple, so over-alignment cannot be told" in table.notes
    assert not any("spf-bench" in note for note in table.notes)


def test_without_the_original_nothing_is_flagged_but_said(tmp_path: Path) -> None:
    put(tmp_path, "naive")
    table = only(tmp_path)
    assert not table.rows[0].unresponsive
    assert any("--method original --suite world --testset world-v1 --limit 4" in note for note in table.notes)


@pytest.mark.parametrize("facts", [{"made": "elsewhere"}, {"beside": "naive-0"}])
def test_images_made_elsewhere_suggest_no_command_for_originals(tmp_path: Path, facts: dict[str, object]) -> None:
    put(tmp_path, "spf", facts=facts, command="spf-bench score --name spf", created="2025-01-01T00:00:00+00:00")
    (note,) = [note for note in only(tmp_path).notes if "over-alignment" in note]
    assert note == "over-alignment cannot be told without the original portraits"
    put(tmp_path, "naive")
    (note,) = [note for note in only(tmp_path).notes if "over-alignment" in note]
    assert "spf-bench run --method original" in note


def test_a_partial_number_does_not_compete(four: Path) -> None:
    table = only(four)
    assert best(table, "kept") == []
    naive = table.rows[3]
    assert naive.cells["kept"].partial
    assert "the judge is unsure († Naive fine-tuning on 3 of 4)" in " ".join(table.notes)


@pytest.mark.parametrize(
    "change",
    [
        {"suite": "paper"},
        {"testset": records.TestSetFacts("world-v1", "f" * 64, 512)},
        {"sampling": Sampling("ddim", 15, 4.0)},
        {"scoring": "0" * 12},
        {"weights": {"pipeline": "0" * 64}},
    ],
)
def test_what_cannot_be_compared_stands_apart(four: Path, change: dict[str, object]) -> None:
    put(four, "naive", **change)
    tables = build(collect(four))
    assert sorted(len(table.rows) for table in tables) == [1, 4]


def test_other_n_stands_apart(four: Path) -> None:
    put(four, "naive", clip_t=(0.2, 0.3))
    assert sorted((table.n, len(table.rows)) for table in build(collect(four))) == [(2, 1), (4, 4)]


def test_a_newer_run_of_the_same_settings_replaces_the_older(tmp_path: Path) -> None:
    put(tmp_path, "naive", fid=9.0)
    put(tmp_path, "naive", fid=8.0)
    put(tmp_path, "naive", fid=7.0, seed=1)
    put(tmp_path, "naive", fid=6.0, preset="quick")
    table = only(tmp_path)
    assert [row.label for row in table.rows] == [
        "Naive fine-tuning (seed 0)",
        "Naive fine-tuning (seed 1)",
        "Naive fine-tuning (quick, seed 0)",
    ]
    assert table.rows[0].cells["fid"].score.mean == 8.0 and "older run left out: naive-0" in table.notes


def test_runs_of_several_folders_stand_together(four: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    mine = tmp_path_factory.mktemp("mine")
    put(mine, "spf", fid=1.0, run="spf-mine", created="2026-02-01T00:00:00+00:00")
    table = build(collect(four, mine, four / "naive-1"))[0]
    assert [row.record.run for row in table.rows] == ["original-2", "prompt_only-3", "naive-1", "spf-mine"]
    assert "older run left out: spf-0" in table.notes
    with pytest.raises(UserError, match="no finished run in"):
        collect(four, mine / "nothing")


def test_of_a_run_and_its_copy_the_one_with_images_stands(four: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy") / "runs"
    shutil.copytree(four, copy)
    (four / "spf-0" / "images").mkdir()
    for folders in ((four, copy), (copy, four)):
        (found,) = (entries for entries, _ in groups(collect(*folders)))
        assert len(found) == 4 and four / "spf-0" in [entry.folder for entry in found]
        assert not [note for note in build(collect(*folders))[0].notes if "left out" in note]


def test_a_mean_over_seeds_lacks_what_one_seed_lacks(tmp_path: Path) -> None:
    first, second = (put(tmp_path, "naive", seed=seed, clip_t=(0.1, 0.2)) for seed in (0, 1))
    part = {key: value for key, value in second.scores["all"].items() if key != "kept"}
    replace(second, scores={"all": part, "clothing": part}).save(tmp_path / second.run)
    merged = merge(collect(tmp_path), "naive").record.scores["all"]
    assert merged["kept"].mean is None and merged["clip_t"].mean == first.scores["all"]["clip_t"].mean
    assert differences(collect(tmp_path), collect(tmp_path))["clip_t"].mean == 0


def test_a_mean_over_seeds_lacks_the_category_that_one_seed_lacks(tmp_path: Path) -> None:
    put(tmp_path, "naive", seed=0)
    second = put(tmp_path, "naive", seed=1)
    replace(second, scores={"all": second.scores["all"]}).save(tmp_path / second.run)
    (_, board) = boards(collect(tmp_path), Wanted(mean=True, by_part=True))
    assert board.table.category == "clothing"
    assert {key: cell.score.mean for key, cell in board.table.rows[0].cells.items() if key != "clip_t"} == {
        "fid": None, "kept": None,
    }  # fmt: skip
    assert "| – |" in render([board.table], Format.md, Interval.none)


STAGE = {"steps": 3, "samples_seen": 6, "seconds": 1.0, "precision": "fp32", "checkpoint_bytes": 4,
         "trainable_parameters": 5, "peak_memory_mib": 3.0}  # fmt: skip


@pytest.mark.parametrize("value", [[1], {"a": 1}, "x", True, None])
@pytest.mark.parametrize("key", STAGE)
def test_costs_of_another_kind_are_dashes(tmp_path: Path, key: str, value: object) -> None:
    put(tmp_path, "naive", training={"stage1": {**STAGE, key: value}})
    printed = show(collect(tmp_path), Wanted(costs=True, shape="2"), Format.text)
    (line,) = [line for line in printed.splitlines() if "stage1" in line]
    assert ("–" in line) == (key != "precision" or value != "x")


def test_by_category(four: Path) -> None:
    (table,) = build(collect(four), by_category=True)[1:]
    assert table.category == "clothing" and ", clothing: n = 4" in table.heading


def test_no_runs_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        collect(tmp_path)
    (tmp_path / "record.json").write_text('{"schema": 0}')
    with pytest.raises(UserError, match="layout 0"):
        collect(tmp_path)
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(UserError, match="not a run record"):
        collect(tmp_path)


@pytest.mark.parametrize("interval", list(Interval))
def test_text_fits_a_terminal(four: Path, interval: Interval) -> None:
    wide = [column_of(metric) for metric in catalogue()]  # type: ignore[arg-type]
    typical = {"fid": 12.345, "seg_cons": 76.54, "mps": -4.321, "hit_rate": 87.65, "kept": 93.21}
    scores = {"all": {column.key: score(typical.get(column.key, 0.4321)) for column in wide}}
    for name in ("naive", "spf"):
        put(four, name, columns=wide, scores=scores, suite="wide")
    table = next(t for t in build(collect(four)) if len(t.columns) == len(wide) > 10)
    text = render([table], Format.text, interval)
    assert max(map(len, text.splitlines())) <= 120
    assert all(f" {column.title}" in text for column in wide) and text.count("\nmethod") > 1


@pytest.mark.parametrize("kind", list(Format))
def test_golden(four: Path, kind: Format) -> None:
    golden = GOLDEN / f"table.{kind}"
    assert render([only(four)], kind) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", list(Format))
def test_published_figures_say_that_they_are_of_another_suite(kind: Format) -> None:
    text = render_published(kind)
    assert "20.41" in text and "0.14" in text
    assert "another suite" in text or kind is Format.csv


@pytest.mark.parametrize(("n", "said"), [(39, True), (40, False)])
def test_a_small_set_without_an_interval_is_explained(tmp_path: Path, n: int, said: bool) -> None:
    scores = {"fid": replace(score(3.0, n), lo=None, hi=None), "clip_t": score(0.1, n), "kept": score(90.0, n)}
    put(tmp_path, "original", scores={"all": scores}, n=n)
    (table,) = build(collect(tmp_path))
    assert ("FID: no interval below 40 images" in table.notes) is said
