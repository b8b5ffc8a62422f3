"""What a training leaves is whole or not there: after power cuts, on full disks, with damaged files."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from spf_train import export
from spf_train.checkpoint import RunFolder, write_atomically
from spf_train.errors import ConfigError
from spf_train.shards import write

Write = Callable[[Path], Any]


def _folder(new: Path) -> None:
    (new / "unet").mkdir(parents=True)
    (new / "unet" / "weights").write_bytes(b"x")


@pytest.mark.parametrize(
    ("put", "parts"),
    [
        (lambda path: write_atomically(path, lambda new: new.write_text("x")), {".a.new"}),
        (lambda path: write_atomically(path, _folder), {".a.new", "unet", "weights"}),
        (lambda path: write(path, {"a": torch.rand(3)}), {f".a.{os.getpid()}"}),
    ],
    ids=["file", "folder", "shard"],
)
def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Write, parts: set[str]
) -> None:
    done, fsync, replace = list[str](), os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def moved(*paths: Any) -> None:
        done.append("moved")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    put(tmp_path / "a")
    at = done.index("moved")
    assert set(done[:at]) == parts and done[at + 1 :] == [tmp_path.name]


@contextmanager
def small_files() -> Iterator[None]:
    """The kernel lets no file grow beyond 1024 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("fill", [lambda new: new.write_bytes(b"x" * 4096), lambda new: _large(new)])
def test_a_full_disk_leaves_the_old_and_nothing_else(tmp_path: Path, fill: Write) -> None:
    write_atomically(tmp_path / "a", lambda new: new.write_text("old"))
    with small_files(), pytest.raises(OSError, match="too large"):
        write_atomically(tmp_path / "a", fill)
    assert (tmp_path / "a").read_text() == "old" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "put",
    [
        lambda path: write_atomically(path, lambda new: torch.save({"a": torch.rand(4096)}, new)),
        lambda path: write_atomically(path, lambda new: save_file({"a": torch.rand(4096)}, new)),
        lambda path: write(path, {"a": torch.rand(4096)}),
    ],
    ids=["torch", "safetensors", "shard"],
)
def test_errors_of_libraries_name_the_file_that_found_no_space(tmp_path: Path, put: Write) -> None:
    with small_files(), pytest.raises(Exception) as caught:
        put(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a") and not os.listdir(tmp_path)


def _large(new: Path) -> None:
    _folder(new)
    (new / "large").write_bytes(b"x" * 4096)


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 cut short", b"\x80\x02."])
def test_a_damaged_checkpoint_is_named_with_what_mends_it(tmp_path: Path, left: bytes) -> None:
    out = RunFolder(tmp_path / "run", {"seed": 0})
    out.save_checkpoint({"step": 3})
    assert out.load_checkpoint() == {"step": 3}
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(left)
    with pytest.raises(ConfigError, match="cannot read") as caught:
        out.load_checkpoint()
    assert str(path) in caught.value.what and "delete this file" in caught.value.fix and "\n" not in caught.value.why
    path.unlink()
    assert out.load_checkpoint() is None


@pytest.mark.parametrize(
    "row", [b"\0\0\0", b"[]", b'"s"', b'{"x": 2}', b'{"step": "2"}', b"\xff", b"[" * 99999, b"{}\n{}"]
)
def test_damaged_rows_of_a_log_are_dropped(tmp_path: Path, row: bytes) -> None:
    out, log = RunFolder(tmp_path, {"seed": 0}), tmp_path / "log.jsonl"
    log.write_bytes(b'{"step": 1}\n' + row + b'\n{"step": 2}\n{"step": 3}\n{"step": 1')
    out.cut_log(2)
    assert log.read_bytes() == b'{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("left", ["", '{"seed"', "[1]", "null", "\x00\x00"])
def test_a_folder_that_does_not_say_what_it_is_is_no_runs(tmp_path: Path, left: str) -> None:
    RunFolder(tmp_path, {"seed": 0})
    (tmp_path / "run.json").write_text(left)
    with pytest.raises(ConfigError, match=r"cannot read .*run\.json"):
        RunFolder(tmp_path, {"seed": 0})


def test_an_export_that_does_not_say_what_it_is_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text('{"steps": 3}')
    assert export._facts_of(tmp_path) == {"steps": 3}
    (tmp_path / "training.json").write_text('{"steps"')
    assert export._facts_of(tmp_path) is None and export._facts_of(tmp_path / "none") is None
