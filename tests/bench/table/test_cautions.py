"""What every output says: n of N of a part, of which runs no commit has the code; and what was not measured is no 0."""

import ast
import csv
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.claims_sheet import sheet as claims_sheet
from baselines.standings import findings
from spf_bench import record as records
from spf_bench.environment import Environment, git_state
from spf_bench.errors import UserError
from spf_bench.files.store import write_parquet
from spf_bench.record import SCORES, MethodFacts, RunRecord, Score
from spf_bench.report import write
from spf_bench.table import seeds
from spf_bench.table.costs import sheet as costs
from spf_bench.table.formats import Interval, render
from spf_bench.table.layout import Format
from spf_bench.table.leaderboard import Wanted, show
from spf_bench.table.model import Entry, build, collect
from spf_bench.table.notes import DIRTY, cautions
from tests.bench.table.test_table import put, score

N = 40
NAN = float("nan")
ROOT = Path(__file__).parents[3]


def environment(dirty: bool) -> Environment:
    return Environment("f" * 40, dirty, "3.11", "Linux", "cpu", 1, {})


def around(mean: float, seed: int) -> list[float]:
    return list(mean + 0.01 * np.random.default_rng(seed).normal(size=N))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Runs of 40 of 512 triples, one of them of uncommitted code and with three unmeasured triples."""
    put(tmp_path, "original", clip_t=around(0.1, 0), environment=environment(False))
    put(tmp_path, "naive", clip_t=around(0.3, 1), environment=environment(False))
    lacking = [*around(0.2, 2)[:-3], NAN, NAN, NAN]
    known = lacking[:-3]
    mean = sum(known) / len(known)
    scores = {
        "fid": score(3.0, N),
        "clip_t": Score(mean, mean - 0.01, mean + 0.01, N - 3, 3, "no face"),
        "kept": Score(None, None, None, 0, N, "unread"),
    }
    put(tmp_path, "spf", clip_t=lacking, scores={"all": scores}, environment=environment(True))
    return tmp_path


@pytest.mark.parametrize("kind", [Format.text, Format.md, Format.tex, Format.json])
def test_every_table_says_which_part_it_is_of_and_whose_code_is_unknown(part: Path, kind: Format) -> None:
    said = show(collect(part), Wanted(costs=True, against="naive"), kind)
    assert "n = 40 of 512" in said
    assert f"{DIRTY}: SPF" in said
    assert "37 of 40" in said
    costs = show(collect(part), Wanted(shape="2"), kind)
    assert "40 of 512 triples of world-v1" in costs and DIRTY in costs


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Two runs of methods that share a title; the first of uncommitted code, a part, with a score for few triples."""
    method = MethodFacts("spf", "SPF", "tests", {}, True, False)
    found = {"fid": score(1.0, 3, 1, "no face"), "clip_t": score(0.2)}
    put(tmp_path, "spf", environment=environment(True), method=method, scores={"all": found}, preset=None)
    whole = MethodFacts("other", "SPF", "tests", {}, True, False)
    put(tmp_path, "spf", environment=environment(False), method=whole, preset=None)
    return tmp_path


@pytest.mark.parametrize("kind", [Format.text, Format.md, Format.tex, Format.json])
def test_a_row_of_the_same_name_hides_no_caution(twins: Path, kind: Format) -> None:
    said = show(collect(twins), Wanted(), kind)
    assert f"{DIRTY}: SPF" in said and "FID: no face († SPF on 3 of 4)" in said
    assert "4 of 512 triples" in show(collect(twins), Wanted(shape="2"), kind)
    assert [row[0] for row in costs([entry.record for entry in collect(twins)]).rows] == ["SPF", "SPF"]


def test_latex_prints_what_its_comments_cannot(part: Path) -> None:
    printed = "\n".join(line for line in render(build(collect(part)), Format.tex).splitlines() if line[0] != "%")
    assert "a part of the test set: 40 of 512 triples of world-v1" in printed
    assert f"{DIRTY}: SPF" in printed and "measured on 0 of 40, 37 of 40" in printed


def test_csv_has_the_same_in_columns(part: Path) -> None:
    rows = {row["method"]: row for row in csv.DictReader(render(build(collect(part)), Format.csv).splitlines())}
    spf = rows["spf"]
    assert (spf["triples"], spf["testset_size"], spf["clip_t_n"], spf["clip_t_missing"]) == ("40", "512", "37", "3")
    assert (spf["dirty"], spf["commit"], rows["naive"]["dirty"]) == ("True", "f" * 40, "False")
    assert (spf["kept"], spf["kept_n"]) == ("", "0")


def test_the_report_says_it_too(part: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write(collect(part), page)
    said = page.read_text()
    assert "n = 40 of 512" in said and "<small>of 512</small>" in said
    assert f"{DIRTY}: SPF" in said and "n = 37 of 40" in said and "with changes" in said


def test_claims_say_it_too(part: Path) -> None:
    said = " ".join(claims_sheet(findings(collect(part))).notes)
    assert "a part of the test set: 40 of 512" in said and f"{DIRTY}: spf-" in said
    assert "clip_t on 37 of 40" in said


def test_a_whole_and_committed_run_is_not_doubted(tmp_path: Path) -> None:
    put(tmp_path, "naive", testset=records.TestSetFacts("world-v1", "a" * 64, 4), environment=environment(False))
    for kind in Format:
        said = show(collect(tmp_path), Wanted(costs=True), kind)
        assert DIRTY not in said and "part of the test set" not in said and "n = 4 of" not in said


def test_parts_of_a_part_name_the_triples_they_come_from(part: Path) -> None:
    (entry,) = [e for e in collect(part) if e.record.method.name == "naive"]
    (_, clothing) = build([entry], by_category=True)
    assert "clothing: n = 40, from 40 of 512 triples" in clothing.heading
    steps = replace(entry.record, track="sequence", n=10)
    assert "n = 40 of 10 triples of 512" in build([replace(entry, record=steps)])[0].heading


def test_every_track_says_its_own_part(part: Path) -> None:
    (entry,) = [e for e in collect(part) if e.record.method.name == "naive"]
    named = {track: replace(entry.record, track=track, n=n) for track, n in (("triples", 512), ("sequence", 64))}
    assert list(cautions(list(named.items()))) == [
        "a part of the test set: 64 of 512 triples of world-v1 on the track sequence"
    ]
    others = {**named, "other": replace(entry.record, track="retention", n=256)}
    assert any(
        "256 of 512 triples of world-v1 on the track retention" in line for line in cautions(list(others.items()))
    )


def seeded(folder: Path, name: str, seed: int, values: Sequence[float], dirty: bool = False) -> Entry:
    known = [value for value in values if value == value]
    mean = sum(known) / len(known) if known else None
    reason = "no face" if len(known) < len(values) else None
    found = Score(mean, mean, mean, len(known), len(values) - len(known), reason)
    scores = {"all": {"fid": score(1.0, len(values)), "clip_t": found, "kept": score(90.0, len(values))}}
    record = put(folder, name, clip_t=values, seed=seed, scores=scores, environment=environment(dirty))
    return Entry(record, folder / record.run)


def test_a_mean_over_seeds_rests_on_what_all_measured(tmp_path: Path) -> None:
    first = seeded(tmp_path, "spf", 0, [0.1, 0.2, 0.3, 0.4])
    second = seeded(tmp_path, "spf", 1, [0.1, NAN, 0.3, 0.4], dirty=True)
    merged = seeds.merge([first, second], "SPF").record
    found = merged.scores["all"]["clip_t"]
    assert (found.n, found.missing, found.reason) == (3, 1, "no face")
    assert merged.environment.dirty is True
    assert merged.scores["all"]["kept"].missing == 0


def test_a_difference_is_of_the_triples_measured_in_both(tmp_path: Path) -> None:
    mine = [seeded(tmp_path, "spf", 0, [1.0, 1.0, 5.0, NAN])]
    theirs = [seeded(tmp_path, "naive", 0, [0.0, 0.0, NAN, 9.0])]
    found = seeds.differences(mine, theirs)["clip_t"]
    assert found.mean == pytest.approx(1.0)  # and not 7/3 - 3, the difference of two means of different triples
    assert (found.n, found.missing) == (2, 2)
    nothing = seeds.differences(mine, [seeded(tmp_path, "naive", 1, [NAN, NAN, NAN, 9.0])])["clip_t"]
    assert (nothing.mean, nothing.lo, nothing.n) == (None, None, 0)


def test_what_was_not_measured_is_a_dash_or_nothing(part: Path) -> None:
    tables = build(collect(part))
    row = next(r for r in tables[0].rows if r.record.method.name == "spf")
    assert row.cells["kept"].score.mean is None and not row.cells["kept"].best
    line = next(line for line in render(tables, Format.md, Interval.none).splitlines() if line.startswith("| SPF"))
    assert line.endswith("| –† |"), line
    printed = render(tables, Format.tex, Interval.none).splitlines()
    assert next(line for line in printed if line.startswith("SPF")).endswith(r"& -- \\")
    told = json.loads(render(tables, Format.json))[0]["rows"]
    assert next(r for r in told if r["method"] == "spf")["scores"]["kept"]["mean"] is None


def test_a_record_holds_no_nan(tmp_path: Path) -> None:
    record = put(tmp_path, "naive")
    with pytest.raises(ValueError, match="JSON"):
        replace(record, seconds={"score": NAN}).save(tmp_path)
    path = tmp_path / record.run / "record.json"
    path.write_text(path.read_text().replace('"mean": 90.0', '"mean": NaN', 1))
    with pytest.raises(UserError, match="not a run record") as caught:
        RunRecord.load(path)
    assert "NaN is no number of JSON" in caught.value.why


def test_parquet_keeps_what_was_not_measured(tmp_path: Path) -> None:
    entry = seeded(tmp_path, "naive", 0, [0.1, NAN, 0.3, 0.4])
    kept = pd.read_parquet(entry.folder / SCORES)["clip_t"]
    assert kept.isna().tolist() == [False, True, False, False]
    write_parquet(tmp_path / "again.parquet", kept.to_frame())
    assert pd.read_parquet(tmp_path / "again.parquet")["clip_t"].isna().sum() == 1


FILLS = {"nan_to_num", "fillna", "nansum"}
KNOWN_FILLS = {"spf_bench/metrics/identity.py": 1}  # how far a box overlaps where there is no face


def test_no_code_turns_what_is_missing_into_a_number() -> None:
    found: dict[str, int] = {}
    for package in ("spf_bench", "spf_train", "baselines"):
        for path in (ROOT / package).rglob("*.py"):
            if not any(name in (text := path.read_text()) for name in FILLS):
                continue
            calls = [n.func for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
            names = [call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls]
            if count := sum(name in FILLS for name in names):
                found[path.relative_to(ROOT).as_posix()] = count
    assert found == KNOWN_FILLS


def test_a_package_inside_somebodys_repository_has_no_commit(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        told = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *told, *words], cwd=tmp_path, check=True, capture_output=True)

    for folder in ("venv", "code"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file.py").write_text("1")
    git("init")
    git("add", "code")
    git("commit", "-m", "one")
    commit, dirty = git_state(tmp_path / "code")
    assert commit is not None and len(commit) == 40 and dirty is False
    assert git_state(tmp_path / "venv") == (None, None)
    (tmp_path / "code" / "file.py").write_text("2")
    assert git_state(tmp_path / "code") == (commit, True)
