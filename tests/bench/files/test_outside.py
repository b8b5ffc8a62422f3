"""Test sets from elsewhere are data too: ids, paths and checksums of theirs lead nowhere, and all faults are named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.files.store import HERE, clear_parts, file_sha256, folder_sha256, write_text
from spf_bench.testset import SUMS, TRIPLES
from tests.bench.conftest import make_triples


def theirs(folder: Path, *lines: str) -> Path:
    """A test set as somebody might hand it over, its checksums right."""
    folder.mkdir()
    (folder / TRIPLES).write_text("\n".join(lines) + "\n")
    testset.seal(folder, [TRIPLES])
    return folder


def test_faults_of_triples_are_all_named(tmp_path: Path) -> None:
    good = make_triples(1)[0].to_dict()
    changes: dict[str, object] = {
        "id": "../../.ssh/authorized_keys", "base": 3, "target": "", "category": "hats", "seed": 1.5,
        "phrases": "a, b", "original": "../x.png", "sha256": "0", "extra": 1,
    }  # fmt: skip
    folder = theirs(tmp_path / "t", json.dumps({**good, **changes}), "nonsense", json.dumps({"id": "a"}), "null")
    with pytest.raises(UserError) as caught:
        testset.load(str(folder))
    said = str(caught.value)
    for name in changes:
        assert f" {name} " in said or f"'{name}'" in said
    assert "line 2" in said and "target is missing" in said and "None is no object" in said


def test_ids_that_one_file_system_takes_for_one_are_refused(tmp_path: Path) -> None:
    rows = [json.dumps({**make_triples(1)[0].to_dict(), "id": key}) for key in ("Anna", "anna")]
    with pytest.raises(UserError, match=r"line 2 +id 'anna' stands there twice"):
        testset.load(str(theirs(tmp_path / "t", *rows)))


@pytest.mark.parametrize(
    "line", ["0" * 64 + "  ../../secret", "short  a", "0" * 64 + "  /etc/passwd", "\0", "x" * 70_000]
)
def test_checksums_lead_nowhere(tmp_path: Path, line: str) -> None:
    folder = theirs(tmp_path / "t", json.dumps(make_triples(1)[0].to_dict()))
    with (folder / SUMS).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="line 2"):
        testset.load(str(folder))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody/x", "/", ""])
def test_names_that_are_none(frozen: testset.TestSet, name: str) -> None:
    with pytest.raises(UserError, match="no test set is called"):
        testset.load(name)


def test_runs_are_filed_under_a_folders_real_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = theirs(tmp_path / "mine", json.dumps(make_triples(1)[0].to_dict()))
    monkeypatch.chdir(folder)
    for name in (".", "../mine", str(folder)):
        assert testset.load(name).name == "mine"
    assert testset.reference(testset.load(".")) == str(folder)


def test_only_what_the_dead_left_is_cleared(tmp_path: Path, dead: Callable[[], int]) -> None:
    import os

    left = {f".a-{HERE}-{dead()}-x.part.png": True, f".b-{HERE}-{os.getpid()}-x.part.png": False}
    left |= {f".c-00000000-{dead()}-x.part.png": False, "d.png": False, f".e-{HERE}-z-x.part.png": False}
    for name in left:
        write_text(tmp_path / name, "")
    clear_parts(tmp_path)
    assert {name for name in left if not (tmp_path / name).exists()} == {name for name, gone in left.items() if gone}


def test_the_digest_of_a_single_file_is_its_own(tmp_path: Path) -> None:
    write_text(tmp_path / "model.safetensors", "weights")
    assert folder_sha256(tmp_path / "model.safetensors") == file_sha256(tmp_path / "model.safetensors")
