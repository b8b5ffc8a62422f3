"""Records of runs from anywhere: read and set in tables, or refused in words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.standings import findings
from spf_bench import report
from spf_bench.errors import UserError
from spf_bench.files.store import read_json
from spf_bench.record import RECORD, RunRecord
from spf_bench.table.formats import Format
from spf_bench.table.leaderboard import Wanted, show
from spf_bench.table.model import collect
from tests.bench import showcase
from tests.fuzz.outcome import fuzzed, outcome, writes_only_below
from tests.fuzz.strategies import as_json, damaged, mutated, values


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return showcase.show(tmp_path_factory.mktemp("show"), ("original", "naive", "spf"), n=4)[0]


@pytest.fixture(scope="module")
def valid(runs: Path) -> Any:
    return read_json(next(e.folder for e in collect(runs) if e.record.method.name == "spf") / RECORD)


def _tables(runs: Path, kind: Format) -> str:
    wanted = Wanted(by_part=True, mean=True, shape=None, costs=True, significance=True, against=None, published=False)
    return show(collect(runs), wanted, kind)


@fuzzed(30)
@given(data=st.data(), kind=st.sampled_from(Format))
def test_a_record_among_others(runs: Path, valid: Any, data: st.DataObject, kind: Format) -> None:
    path = runs / "strange" / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(st.one_of(mutated(valid).map(as_json), damaged(as_json(valid)), values.map(as_json))))
    with writes_only_below(runs):
        found = outcome(lambda: RunRecord.load(path))
        told = outcome(lambda: _tables(runs, kind))
    assert isinstance(told, UserError) or isinstance(found, RunRecord)
    path.unlink()


@fuzzed(6, 300)
@given(data=st.data())
def test_a_report_and_claims_of_it(runs: Path, valid: Any, tmp_path: Path, data: st.DataObject) -> None:
    path = runs / "strange" / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(mutated(valid).map(as_json)))
    with writes_only_below(runs.parent):
        page = outcome(lambda: report.write(collect(runs), tmp_path / "report.html"))
        told = outcome(lambda: findings(collect(runs), "default"))
    assert isinstance(page, UserError) or (tmp_path / "report.html").stat().st_size > 0
    assert isinstance(told, UserError) or told
    path.unlink()


@fuzzed(30)
@given(data=st.data())
def test_scores_beside_a_record(runs: Path, data: st.DataObject) -> None:
    path = sorted(runs.rglob("scores.parquet"))[0]
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(whole)))
        told = outcome(lambda: _tables(runs, Format.text))
        assert isinstance(told, UserError) or "Original portrait" in told
    finally:
        path.write_bytes(whole)
