"""Precisions of a build: each says which it is, none mixes with another, and a run samples as its originals were."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spf_bench import suite as suites
from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.originals.about import BUILD, About
from spf_bench.originals.build import Build
from spf_bench.originals.built import as_built
from spf_bench.originals.verify import examine, locate
from spf_bench.progress import Silent
from spf_bench.record import RECORD, RunRecord
from spf_bench.run.plan import Run
from tests.bench.conftest import SAMPLING, MiniSuite
from tests.bench.originals.conftest import Pixels, files

Builds = Callable[..., Build]
LOW = ("float16", "bfloat16")


def levels(folder: Path, names: list[str]) -> np.ndarray:
    """All values of some images, as whole numbers."""
    return np.stack([np.asarray(Image.open(folder / name), int) for name in names])


@pytest.mark.parametrize("dtype", LOW)
def test_a_build_says_what_it_computed_in(
    cli: Callable, planned_build: Builds, whole: Pixels, tmp_path: Path, dtype: str
) -> None:
    exact = planned_build()
    assert exact.execute(Silent())
    said = cli("testset", "build", "--suite", "mini", "--to", tmp_path / "low", "--precision", dtype, "--batch", 2)
    assert said.exit_code == 0, said.output
    low = tmp_path / "low" / "originals"
    about = About.load(low)
    assert about is not None and about.sampling.dtype == dtype
    names = sorted(whole)
    apart = np.abs(levels(low, names) - levels(exact.folder, names))
    assert files(low).keys() == whole.keys() and files(low) != whole and apart.mean() < 8


def test_two_precisions_never_share_a_folder(planned_build: Builds, cli: Callable, whole: Pixels) -> None:
    build = planned_build(limit=2)
    assert build.execute(Silent())
    before = files(build.folder)
    said = cli("testset", "build", "--suite", "mini", "--to", build.to, "--precision", "bfloat16", "--batch", 2)
    assert said.exit_code == 2 and "holds other originals" in said.output and "'bfloat16'" in said.output
    assert files(build.folder) == before and set(before.items()) < set(whole.items())


def test_the_cache_is_for_runs_alone(planned_build: Builds, cli: Callable, tmp_path: Path) -> None:
    words = ("testset", "build", "--suite", "mini", "--runs", tmp_path / "runs")
    said = cli(*words, "--precision", "bfloat16")
    assert said.exit_code == 2 and "give --to" in said.output and not (tmp_path / "runs").exists()
    assert cli(*words, "--precision", SAMPLING.dtype).exit_code == 0


def test_what_is_no_precision_is_refused(cli: Callable, tmp_path: Path) -> None:
    for wrong in ("int8", "Float16", ""):
        said = cli("testset", "build", "--suite", "mini", "--to", tmp_path / "no", "--precision", wrong)
        assert said.exit_code == 2 and "bfloat16" in said.output and not (tmp_path / "no").exists()


def test_repair_computes_in_what_was_lost(planned_build: Builds, cli: Callable) -> None:
    build = planned_build(precision="bfloat16")
    assert build.execute(Silent()) and build.to is not None
    before = files(build.folder)
    (build.folder / "mini-0003.png").unlink()
    assert cli("testset", "verify", build.to, "--repair").exit_code == 0
    assert files(build.folder) == before and examine(locate(str(build.to))).sound


def test_a_run_samples_as_its_originals_were(
    planned_build: Builds, planned: Callable[..., Run], cli: Callable, tmp_path: Path
) -> None:
    build = planned_build(precision="bfloat16")
    assert build.execute(Silent())
    with pytest.raises(UserError, match="not what this run would make"):
        _ = replace(planned("original"), testset=testset.load(str(build.to))).origin
    words = ("--suite", "mini", "--testset", build.to, "--runs", tmp_path / "runs", "--limit", 2)
    said = cli("run", "--method", "original", *words)
    assert said.exit_code == 0, said.output
    (record,) = (tmp_path / "runs").rglob(RECORD)
    assert RunRecord.load(record).sampling.dtype == "bfloat16"


def test_a_foreign_record_decides_nothing(planned_build: Builds, suite: MiniSuite) -> None:
    build = planned_build(limit=2)
    assert build.execute(Silent()) and build.to is not None
    loaded = testset.load(str(build.to))
    told = json.loads((build.folder / BUILD).read_text())
    foreign: tuple[object, ...] = (None, [], {}, {"dtype": "int8"}, {"dtype": 7}, {"dtype": []})
    for sampling in foreign:
        told["origin"]["sampling"] = sampling
        (build.folder / BUILD).write_text(json.dumps(told))
        assert as_built(suite, loaded) is suite


def test_a_suite_is_not_changed_by_being_asked(suite: MiniSuite) -> None:
    other = suite.sampled_in("float16")
    assert other.sampling.dtype == "float16" and suite.sampling == SAMPLING and suite.sampled_in(None) is suite
    assert suites.get_suite("paper").sampled_in("float32").sampling.dtype == "float32"
