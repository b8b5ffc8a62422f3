"""The weights commands as a user types them."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from spf_bench.weights import table
from spf_bench.weights.checkpoint import Checkpoint, File, Url

Cli = Callable[..., Any]
BODY = b"tensors"


@pytest.fixture
def row(server, monkeypatch) -> Checkpoint:
    server.files["faces.pth"] = BODY
    file = File("faces.pth", len(BODY), hashlib.sha256(BODY).hexdigest())
    made = Checkpoint("faces", "", Url(f"{server.url}/faces.pth"), (file,), "research", ("id",), terms="no selling")
    monkeypatch.setattr(table, "_ROWS", (made,))
    monkeypatch.setattr(table, "CHECKPOINTS", {"faces": made})
    return made


def test_check_fetch_check(cli: Cli, row: Checkpoint, home) -> None:
    before = cli("weights", "check")
    assert before.exit_code == 1 and "spf-bench weights fetch faces" in before.stdout
    fetched = cli("weights", "fetch", "id", "--weights-dir", home / "mine")
    assert fetched.exit_code == 0 and "verified" in fetched.stdout and "no selling" in fetched.stderr
    assert (home / "mine" / "faces" / "faces.pth").read_bytes() == BODY
    assert cli("weights", "check", "--weights-dir", home / "mine").exit_code == 0


def test_list_says_who_uses_what_under_which_terms(cli: Cli, row: Checkpoint) -> None:
    listed = cli("weights", "list")
    assert listed.exit_code == 0 and "no selling" in listed.stderr
    assert all(word in listed.stdout for word in ("faces", "id", "research", row.files[0].sha256[:12], "no"))


def test_a_wrong_name_is_answered_with_the_right_ones(cli: Cli, row: Checkpoint) -> None:
    result = cli("weights", "fetch", "face")
    assert result.exit_code == 2 and "did you mean 'faces'" in result.stderr


def test_a_pickle_that_is_none(cli: Cli, tmp_path) -> None:
    result = cli("weights", "convert-mps", tmp_path / "absent.pth", tmp_path / "out.safetensors")
    assert result.exit_code == 2 and "is not converted" in result.stderr
