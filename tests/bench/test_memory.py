"""Batches that do not fit a device are halved, which is told, noted, and changes no image and no score on a CPU."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.memory import FOLDER, Halving, noted
from spf_bench.metrics.clip_encoder import ClipEncoder
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import About
from spf_bench.originals.build import Build
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.trainset.build import Build as TrainsetBuild
from tests.bench.originals.conftest import planned_build as planned_build
from tests.bench.trainset.conftest import specify

TOLD = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 1 GiB."


def holding(most: int, function: Callable, place: int = 0) -> Callable:
    """A function of a device that holds ``most`` items of the argument at ``place``."""

    def call(self: object, *arguments: Any) -> object:
        if len(arguments[place]) > most:
            raise torch.OutOfMemoryError(TOLD)
        return function(self, *arguments)

    return call


def alike(folder: Path, other: Path) -> None:
    """Two folders hold the same images, but for the last step of rounding in a few places."""
    names = sorted(path.name for path in folder.glob("*.png"))
    assert names and names == sorted(path.name for path in other.glob("*.png"))
    for name in names:
        pixels = [np.asarray(Image.open(place / name)).astype(int) for place in (folder, other)]
        apart = np.abs(pixels[0] - pixels[1])
        assert apart.max() <= 1 and apart.mean() < 0.01


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the device a memory that holds few images."""

    def make(sampled: int = 99, seen: int = 99) -> None:
        monkeypatch.setattr(Backbone, "render", holding(sampled, Backbone.render))
        monkeypatch.setattr(ClipEncoder, "encode", holding(seen, ClipEncoder.encode))

    return make


def test_what_does_not_fit_is_halved_for_good(tmp_path: Path) -> None:
    tried, said = list[int](), list[str]()

    def compute(items: Sequence[int]) -> list[int]:
        tried.append(len(items))
        if len(items) > 3:
            raise torch.OutOfMemoryError(TOLD)
        return list(items)

    halving = Halving(tmp_path / FOLDER, said.append)
    assert halving.of("score", range(10), compute) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert tried[:3] == [10, 5, 3] and "score: 10 images do not fit" in said[0] and len(said) == 2
    tried.clear()
    later = Halving(tmp_path / FOLDER)  # another process, or this one after a kill
    assert later.of("score", range(4), compute) == [[0, 1, 2], [3]] and tried == [3, 1]
    assert noted(tmp_path / FOLDER) == {"score": 3} and noted(tmp_path / "nowhere") == {} == noted(None)
    (tmp_path / FOLDER / "notes.txt").touch()  # somebody's own
    assert noted(tmp_path / FOLDER) == {"score": 3}


@pytest.mark.parametrize(
    "told", [TOLD, "cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED", "[ONNXRuntimeError] Failed to allocate"]
)
def test_one_that_does_not_fit_is_the_users_to_mend(told: str) -> None:
    def full(items: Sequence[int]) -> None:
        raise RuntimeError(told)

    with pytest.raises(UserError, match="generate: not even one image at a time") as error:
        Halving().of("generate", range(3), full)
    assert error.value.why == told.splitlines()[0]


def test_other_errors_pass() -> None:
    def broken(items: Sequence[int]) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Halving().of("generate", range(3), broken)


def test_a_run_on_a_small_device(planned: Callable[..., Run], small: Callable[..., None]) -> None:
    alone, run = planned("prompt_only", "alone"), planned("prompt_only")
    expected = execute(alone, Silent())
    assert expected.halved == {}
    small(sampled=1, seen=5)
    record = execute(run, Silent())
    assert record.halved == {"originals": 1, "generate": 1, "score": 3}
    alike(run.images, alone.images)
    for key, score in expected.scores["all"].items():
        assert record.scores["all"][key].mean == pytest.approx(score.mean, abs=1e-2 if key == "fid" else 1e-4)
    other = execute(planned("original"), Silent())  # the run before it made its originals, in halves
    assert other.halved == {"originals": 1}


def test_a_build_on_a_small_device(
    planned_build: Callable[..., Build], pipe_dir: Path, clip_dir: Path, tmp_path: Path, small: Callable[..., None]
) -> None:
    large = planned_build("large")
    assert large.execute(Silent())
    first = specify(tmp_path / "large", pipe_dir, clip_dir)()
    TrainsetBuild(first).execute(Silent())
    small(sampled=1, seen=3)
    build = planned_build()
    assert build.execute(Silent())
    alike(build.folder, large.folder)
    about, before = About.load(build.folder), About.load(large.folder)
    assert about is not None and before is not None and (about.halved, before.halved) == (1, None)
    assert not list(build.folder.glob(".*"))
    second = specify(tmp_path / "small", pipe_dir, clip_dir)()
    TrainsetBuild(second).execute(Silent())
    assert json.loads((second.to / "build.json").read_text())["halved"] == {"images": 1, "match": 3, "hps": 2}
    alike(*(next(to.work.glob("images-*")) / "000000" for to in (first, second)))


def test_the_small_device_is_remembered_after_a_kill(
    planned: Callable[..., Run], small: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, run = planned("prompt_only", "alone"), planned("prompt_only")
    execute(alone, Silent())
    small(sampled=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("spf_bench.run.execute.measure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        execute(run, Silent())
    monkeypatch.setattr(Backbone, "render", lambda *_: pytest.fail("sampled again"))
    assert execute(run, Silent()).halved == {"originals": 2, "generate": 2}
    alike(run.images, alone.images)
