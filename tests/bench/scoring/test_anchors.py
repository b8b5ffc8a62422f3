"""Anchors of a run: measured once for all methods, on other noise, and written in the record."""

from collections.abc import Callable

import pytest

from spf_bench.metrics.segcons import SegCons
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.scoring import anchors
from spf_bench.triple import image
from tests.bench.conftest import MiniSuite
from tests.bench.metrics.stand_ins import ColourSegmenter

Planned = Callable[..., Run]


@pytest.fixture(autouse=True)
def seg_cons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the miniature suite a metric that has anchors."""
    others = MiniSuite.metrics
    monkeypatch.setattr(MiniSuite, "metrics", lambda *a: [*others(*a), SegCons(ColourSegmenter())])


def test_the_record_has_floor_and_ceiling(planned: Planned) -> None:
    run = planned("original")
    record = execute(run, Silent())
    found = record.anchors["seg_cons"]
    assert set(record.anchors) == {"seg_cons"} and set(found) == {"floor", "ceiling", "n"}
    assert found["n"] == 6 and found["ceiling"] > found["floor"] >= 0
    assert RunRecord.load(run.folder / "record.json").anchors == record.anchors


def test_a_second_method_makes_and_measures_nothing(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    first = execute(planned("original"), Silent())
    monkeypatch.setattr(anchors, "reseed", lambda *_: pytest.fail("made again"))
    assert execute(planned("prompt_only"), Silent()).anchors == first.anchors


def test_other_portraits_are_of_the_same_texts_from_other_noise(planned: Planned) -> None:
    run = planned("original", limit=2)
    execute(run, Silent())
    (folder,) = run.cache.glob("anchors-*")
    for triple in run.triples:
        assert image(folder, triple).read_bytes() != image(run.originals, triple).read_bytes()
    assert len(list(folder.glob("*.png"))) == 2


def test_metrics_without_anchors_cost_nothing(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SegCons, "anchored", False)
    run = planned("original")
    assert execute(run, Silent()).anchors == {} and not list(run.cache.glob("anchors-*"))
