"""Metrics of other packages join a suite's, or are left out with a reason; none can stop the others."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics.base import Group, Metric, SetMetric
from spf_bench.metrics.fid import FID
from spf_bench.metrics.guard import guarded
from spf_bench.metrics.pixel import PSNR, PixelEncoder
from spf_bench.metrics.plugins import GROUP, Tools, discover, fingerprint, join, lacking
from spf_bench.metrics.summary import summarise
from spf_bench.scoring.one_pass import Scores
from tests.bench.metrics.stand_ins import Colours, batch, noise_pictures
from tests.conformance.conftest import Package, package  # noqa: F401

CODE = """
import torch
from spf_bench.errors import UserError
from spf_bench.metrics.base import Group, Metric
from spf_bench.metrics.pixel import PixelEncoder

class One(Metric):
    key, title, group = "one", "One", Group.preservation
    higher_is_better, bounds, decimals = True, (0.0, 1.0), 1
    source, licence, comparable = "tests", "none", "no"
    encoders = (PixelEncoder(),)

    def score(self, batch):
        return {self.key: torch.ones(len(batch.triples))}

class Lonely(One):
    key = "lonely"

    @classmethod
    def create(cls, tools):
        raise UserError("weights are absent", "lonely.pt", "fetch them")

class Taken(One):
    key = "fid"

class Column(One):
    key, secondary = "column", {"psnr": "taken"}

class Impostor:
    name, digest = "colours", "another"

class Mistaken(One):
    key, encoders = "mistaken", (Impostor(),)

class Nothing:
    pass
"""
POINTS = {name: f"oddments:{name.title()}" for name in ("one", "lonely", "column", "mistaken", "nothing")}
POINTS |= {"fid": "oddments:Taken", "gone": "no_such_module:Gone", "two": "oddments:One"}
REASONS = {
    "lonely": "weights are absent: lonely.pt",
    "fid": "columns have names of others: fid",
    "column": "columns have names of others: psnr",
    "mistaken": "network has the name of another: colours",
    "nothing": "is not a metric",
    "gone": "no_such_module",
    "two": "its entry point is 'two', its key 'one'",
}


@pytest.fixture
def oddments(package: Package) -> None:  # noqa: F811
    package("oddments", CODE, {GROUP: POINTS})
    importlib.invalidate_caches()


def own() -> list[Metric | SetMetric]:
    return [FID(Colours()), PSNR(PixelEncoder())]


def test_each_joins_its_group_or_is_left_out_with_its_reason(oddments: None) -> None:
    with pytest.warns(UserWarning, match="is left out") as told:
        joined = join("mini", "cpu", own())
    assert [metric.key for metric in joined] == ["fid", "psnr", "one"]
    said = [str(warning.message) for warning in told]
    assert len(said) == len(REASONS)
    for name, why in REASONS.items():
        assert any(repr(name) in line and why in line for line in said), (name, said)
    assert set(discover().broken) == {"nothing", "gone", "two"}


def test_scores_depend_on_the_code_of_plug_ins_and_on_nothing_where_there_are_none(oddments: None) -> None:
    assert dict(fingerprint()).keys() >= {"one", "lonely"}
    assert "one" in lacking(["fid"]) and "one" not in lacking(["fid", "one"])


def test_without_plug_ins_nothing_changes() -> None:
    assert fingerprint() == [] and lacking([]) == set()
    metrics = own()
    assert join("mini", "cpu", metrics) == metrics


def test_an_unknown_network_names_the_nearest() -> None:
    tools = Tools("mini", "cpu", {"judge_clip": Colours()})
    with pytest.raises(UserError, match="no network of the suite 'mini' is called 'jugde_clip'") as caught:
        tools.encoder("jugde_clip")
    assert "did you mean 'judge_clip'" in caught.value.why


def failing(kind: type, method: str, at: int) -> Metric | SetMetric:
    """A metric whose method raises from its nth call on."""
    calls = iter(range(100))

    def fail(self: object, *given: object) -> object:
        if next(calls) >= at:
            raise ValueError("it was odd")
        return getattr(kind, method)(self, *given)

    return type("Failing", (kind,), {method: fail})(Colours() if issubclass(kind, SetMetric) else PixelEncoder())


def scores(metric: Metric | SetMetric) -> Scores:
    """What two batches of three pairs give."""
    import pandas as pd

    images, rows, kept = noise_pictures(12), [], []
    for start in (0, 3):
        part = batch(images[start : start + 3], images[6 + start : 9 + start])
        index = [f"t{start + i}" for i in range(3)]
        columns = metric.score(part) if isinstance(metric, Metric) else {}
        frame = pd.DataFrame({key: values.numpy() for key, values in columns.items()}, index=index)
        rows.append(frame.assign(category="clothing"))
        if isinstance(metric, SetMetric):
            kept.append((metric.features(part.original), metric.features(part.custom)))
    sides = zip(("original", "custom"), zip(*kept, strict=True), strict=False)  # none where nothing is kept
    features = {f"{metric.key}.{side}": torch.cat(parts) for side, parts in sides}
    return Scores(pd.concat(rows), features)


def test_a_batch_that_fails_is_missing_with_its_reason() -> None:
    metric = guarded(failing(PSNR, "score", at=1))
    (line, *_) = summarise(scores(metric), [metric])
    assert (line.n, line.missing) == (3, 3) and "the plug-in failed: ValueError: it was odd" in str(line.note)


@pytest.mark.parametrize(("method", "at"), [("features", 0), ("features", 1), ("compare", 0)])
def test_a_set_that_fails_has_no_value_and_a_reason(method: str, at: int) -> None:
    metric = guarded(failing(FID, method, at))
    (line, *_) = summarise(scores(metric), [metric])
    assert line.value is None and line.missing == 6 and "it was odd" in str(line.note)


@pytest.mark.parametrize("make", [lambda: PSNR(PixelEncoder()), lambda: FID(Colours())])
def test_a_guard_changes_no_number(make: Callable[[], Metric | SetMetric]) -> None:
    bare, guard = make(), guarded(make())
    assert summarise(scores(bare), [bare]) == summarise(scores(guard), [guard])
    assert guard.title == bare.title and guard.group is Group.preservation
