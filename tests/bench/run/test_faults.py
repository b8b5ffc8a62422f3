"""Full disks, folders that cannot be written, damaged files, clocks: told clearly, nothing lost, healed next time."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from spf_bench.errors import UserError
from spf_bench.files.intact import ended, whole
from spf_bench.files.store import write_atomic, write_json, write_parquet, write_png, write_text
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.triple import image, original

Planned = Callable[..., Run]


class Notes(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said = list[str]()

    def note(self, text: str) -> None:
        self.said.append(text)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """The kernel lets no file grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x" * 4096),
        lambda path: write_png(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)),
        lambda path: write_parquet(path, pd.DataFrame({"a": range(4096)})),
        lambda path: write_atomic(path, lambda part: save_file({"a": torch.rand(4096)}, part)),
    ],
    ids=["text", "png", "parquet", "safetensors"],
)
def test_no_space_is_told_and_the_old_file_stays(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with small_files(1024), pytest.raises(UserError) as caught:
        write(path)
    assert str(path) in caught.value.what and "ulimit -f" in caught.value.fix
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]
    path.unlink()
    write(path)
    assert path.stat().st_size > 1024


@pytest.mark.parametrize(
    ("number", "why"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "it can be read but not written"), (errno.EACCES, "denied")],
)
def test_the_disks_refusals_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("spf_bench.files.store.os.replace", refuse)
    with pytest.raises(UserError) as caught:
        write_json(tmp_path / "a.json", {})
    assert why in caught.value.why and not os.listdir(tmp_path)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_atomic(tmp_path / "a", lambda part: 1 / 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writer has its own
def test_a_full_disk_in_the_middle_of_a_run(planned: Planned) -> None:
    run, expected = planned("naive"), execute(planned("naive", "undisturbed"), Silent())
    with small_files(30_000), pytest.raises(UserError, match="cannot write"):
        execute(run, Silent())
    with small_files(2), pytest.raises(UserError, match="cannot write"):
        execute(run, Silent())
    assert not (run.folder / "record.json").exists()
    found = execute(run, Silent())
    assert (found.scores, found.images_sha256) == (expected.scores, expected.images_sha256)


def test_runs_that_is_a_file(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    words = ("run", "--method", "prompt_only", "--suite", "mini", "--device", "cpu")
    done = cli(*words, "--runs", tmp_path / "runs")
    assert done.exit_code == 2 and "a file stands where a folder must be" in done.stderr, done.output
    assert "Traceback" not in done.output and (tmp_path / "runs").read_text() == "mine"


def test_a_full_disk_outside_our_own_writing(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere/log.jsonl")

    monkeypatch.setattr("spf_bench.run.execute.execute", refuse)
    done = cli("run", "--method", "original", "--suite", "mini", "--device", "cpu", "--runs", tmp_path)
    assert done.exit_code == 2 and "cannot write somewhere/log.jsonl" in done.stderr


@pytest.fixture
def finished(planned: Planned) -> tuple[Run, RunRecord]:
    run = planned("naive")
    return run, execute(run, Silent())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def heals(finished: tuple[Run, RunRecord], told: str) -> None:
    """Run again and compare; the damage is told in one note."""
    run, before = finished
    notes = Notes()
    after = execute(run, notes)
    assert (after.scores, after.images_sha256) == (before.scores, before.images_sha256)
    assert any(told in text for text in notes.said), notes.said
    assert [path for path in run.runs.rglob("*") if path.is_file() and not whole(path)] == []


def test_damaged_results_and_caches_are_made_again(finished: tuple[Run, RunRecord]) -> None:
    run, _ = finished
    (run.folder / "record.json").write_text('{"schema": 1,')
    empty(run.folder / "costs.json")
    cut(image(run.images, run.triples[0]))
    empty(image(run.images, run.triples[1]))
    image(run.images, run.triples[2]).unlink()
    cut(original(run.originals, run.triples[3]))
    for path in (run.cache / "features").glob("*.safetensors"):
        cut(path)
    heals(finished, "damaged, and made again: ")
    assert all(image(run.images, triple).is_file() for triple in run.triples)
    cut(run.folder / "scores.parquet")
    heals(finished, "scores.parquet")


@pytest.mark.parametrize("damage", [cut, empty, Path.unlink])
def test_an_image_of_a_finished_run_is_made_again(
    finished: tuple[Run, RunRecord], damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = finished
    lost = image(run.images, run.triples[-1])
    pixels = lost.read_bytes()
    damage(lost)
    monkeypatch.setattr("spf_bench.run.execute.measure", lambda *_: pytest.fail("scored again"))
    heals(finished, "its images are whole again")
    assert lost.read_bytes() == pixels and RunRecord.load(run.folder / "record.json") == before
    notes = Notes()
    assert execute(run, notes) == before and "done before" in notes.said[-1]


def test_a_damaged_checkpoint_is_put_aside_and_trained_again(finished: tuple[Run, RunRecord]) -> None:
    run, before = finished
    folder = run.cache / "checkpoints" / before.training["stage1"]["folder"]
    (weights,) = (folder / "unet").glob("*.safetensors")
    cut(weights)
    shutil.rmtree(run.folder)
    notes = Notes()
    after = execute(run, notes)
    assert (after.scores, after.images_sha256) == (before.scores, before.images_sha256)
    assert any(f"{weights} is damaged" in text for text in notes.said)
    assert (folder.with_name(f"{folder.name}.damaged") / "unet" / weights.name).is_file() and whole(weights)


def test_a_clock_that_was_set_back_changes_nothing(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed, run = planned("prompt_only", "undisturbed"), planned("prompt_only")
    expected = execute(undisturbed, Silent())
    monkeypatch.setattr("spf_bench.run.execute.measure", lambda *_: pytest.fail("killed"))
    with pytest.raises(BaseException, match="killed"):
        execute(run, Silent())
    monkeypatch.undo()
    for path in run.runs.rglob("*"):
        os.utime(path, (4e9, 4e9))  # all of it from the year 2096
    cut(original(run.originals, run.triples[0]))
    found = execute(planned("prompt_only"), Silent())
    assert (found.scores, found.images_sha256) == (expected.scores, expected.images_sha256)


@pytest.mark.parametrize("suffix", [".png", ".parquet", ".safetensors", ".json"])
def test_every_cut_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    {
        ".png": lambda: write_png(path, np.zeros((8, 8, 3), np.uint8)),
        ".parquet": lambda: write_parquet(path, pd.DataFrame({"a": range(9)})),
        ".safetensors": lambda: save_file({"a": torch.rand(9), "b": torch.rand(2)}, path),
        ".json": lambda: path.write_text('{"a": [1, 2]}'),
    }[suffix]()
    data = path.read_bytes()
    assert whole(path)
    for length in {*range(0, len(data), 1 + len(data) // 64), *range(len(data) - 12, len(data))}:
        path.write_bytes(data[:length])
        assert not whole(path) and not ended(path), length
    path.unlink()
    assert not whole(path)
