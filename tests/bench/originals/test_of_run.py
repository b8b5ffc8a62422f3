"""A run and a build make one thing: the same folder in the cache, or a built test set that the run takes as it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.originals import make, of_run
from spf_bench.originals.build import Build
from spf_bench.originals.verify import examine, locate
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.suite import Sampling
from tests.bench.conftest import MiniSuite
from tests.bench.originals.conftest import files

Planned = Callable[..., Run]
Builds = Callable[..., Build]


def test_a_run_takes_what_was_built_into_its_cache(
    planned: Planned, planned_build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = replace(planned_build(batch=4), to=None)
    build.execute(Silent())
    run = planned("original")
    assert run.originals == build.folder
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("rendered again"))
    execute(run, Silent())
    assert files(run.images) == files(build.folder)


def test_what_a_run_made_is_verified_like_a_build(planned: Planned) -> None:
    run = planned("original")
    execute(run, Silent())
    place = locate(str(run.originals))
    assert examine(place).sound and examine(place).checked == 6
    (run.originals / "mini-0003.png").unlink()
    assert [(triple.id, state) for triple, state in examine(place).images] == [("mini-0003", "missing")]


def test_a_run_takes_a_built_test_set_as_it_is(
    planned: Planned, planned_build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = planned_build()
    build.execute(Silent())
    bare, run = planned("original"), replace(planned("original"), testset=testset.load(str(build.to)))
    assert run.originals == build.folder and run.folder.name != bare.folder.name
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("rendered again"))
    record = execute(run, Silent())
    assert files(run.images) == files(build.folder) and record.testset.sha256 == bare.testset.sha256


def test_a_damaged_or_half_built_set_stops_a_run(planned: Planned, planned_build: Builds) -> None:
    build = planned_build(limit=2)
    build.execute(Silent())
    loaded = testset.load(str(build.to))
    with pytest.raises(UserError, match=r"4 originals of .* are not as they were built"):
        execute(replace(planned("original"), testset=loaded), Silent())
    execute(replace(planned("original", limit=2), testset=loaded), Silent())
    (build.folder / "manifest.jsonl").unlink()
    with pytest.raises(UserError, match="not finished"):
        _ = replace(planned("original"), testset=loaded).origin


def test_originals_of_other_sampling_are_not_mixed_in(
    planned: Planned, planned_build: Builds, suite: MiniSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = planned_build()
    build.execute(Silent())
    monkeypatch.setattr(MiniSuite, "sampling", Sampling("dpmsolver++2m", steps=3, guidance=2.0))
    with pytest.raises(UserError, match="not what this run would make") as caught:
        _ = replace(planned("original"), testset=testset.load(str(build.to))).origin
    assert "guidance" in str(caught.value) and "--testset mini" in str(caught.value)


def test_a_folder_of_the_cache_is_no_built_set(planned: Planned, tmp_path: Path) -> None:
    run = planned("original")
    assert run.originals.parent == tmp_path / "runs" / "cache" and of_run.built(run.testset) is None
