"""Files exist only when whole; digests follow behaviour, not wording."""

from pathlib import Path

import pytest

from spf_bench.files.artifacts import Artifacts
from spf_bench.files.store import code_sha256, digest, folder_sha256, write_atomic, write_json, write_text


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    write_text(path, "whole")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, fail)
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    with pytest.raises(ValueError):
        write_json(path, {"score": float("nan")})
    assert path.read_text() == "whole"


def test_digests_ignore_order_of_keys_but_no_value() -> None:
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_folders_digest_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = folder_sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = folder_sha256(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, folder_sha256(tmp_path)}) == 3


def test_the_digest_of_code_is_blind_to_wording(tmp_path: Path) -> None:
    texts = (
        'def f(x):\n    """Double."""\n    return 2 * x  # twice\n',
        'def f(x):\n    """Return twice x."""\n\n    return (2 * x)\n',
        "def f(x):\n    return 3 * x\n",
    )
    digests = []
    for number, text in enumerate(texts):
        path = tmp_path / str(number) / "code.py"
        path.parent.mkdir()
        path.write_text(text)
        digests.append(code_sha256(path))
    assert digests[0] == digests[1] != digests[2]
    assert code_sha256("spf_bench.metrics") != code_sha256("spf_bench.metrics.base")
    with pytest.raises(ModuleNotFoundError):
        code_sha256("no_such_module")


def test_an_artifact_is_built_once_and_resumed_in_its_folder(tmp_path: Path) -> None:
    cache, attempts = Artifacts(tmp_path, {"seed": 0}), []

    def build(folder: Path) -> dict[str, int]:
        attempts.append(folder)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        return {"steps": 7}

    with pytest.raises(KeyboardInterrupt):
        cache.get("stage", {"lr": 1}, build)
    folder = cache.get("stage", {"lr": 1}, build)
    assert cache.get("stage", {"lr": 1}, build) == folder and attempts == [folder, folder]
    assert cache.used["stage"]["steps"] == 7 and cache.used["stage"]["seconds"] >= 0
    assert cache.get("stage", {"lr": 2}, build) != folder
