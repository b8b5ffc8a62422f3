"""Files of the Hub are compared with the SHA-256 it stated, wherever its client keeps that."""

import hashlib
from pathlib import Path

import pytest

from spf_bench.errors import UserError
from spf_bench.weights import check, hub
from spf_bench.weights.base import base_checkpoint, base_path
from spf_bench.weights.checkpoint import Checkpoint, File, Hub

BODY = b"weights"
SHA = hashlib.sha256(BODY).hexdigest()


def cached(root: Path, name: str, body: bytes = BODY, etag: str = SHA) -> Path:
    """Lay a file down as the Hub's cache does: by its etag, with a link in a snapshot."""
    blob, link = root / "blobs" / etag, root / "snapshots" / ("a" * 40) / name
    blob.parent.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(body)
    link.symlink_to(blob)
    return link


def noted(folder: Path, name: str, body: bytes = BODY, etag: str = SHA) -> Path:
    """Lay a file down as a download into a folder of the user's: with a note of its etag."""
    path, note = folder / name, folder / hub.NOTES / f"{name}.metadata"
    for one in (path, note):
        one.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    note.write_text(f"{'a' * 40}\n{etag}\n1700000000.0\n")
    return path


@pytest.mark.parametrize("lay", [cached, noted])
def test_the_hubs_word_is_found_and_kept_to(tmp_path: Path, lay: object) -> None:
    good = lay(tmp_path / "good", "unet/model.safetensors")  # type: ignore[operator]
    bad = lay(tmp_path / "bad", "unet/model.safetensors", b"others!")  # type: ignore[operator]
    small = lay(tmp_path / "small", "config.json", b"{}", "1" * 40)  # type: ignore[operator]
    assert hub.stated(good) == SHA and not hub.unlike(good, SHA)
    assert hub.stated(small) is None and not hub.unlike(small, SHA)  # git's own hash, of small files alone
    hub.refuse_altered(good.parent, "")
    with pytest.raises(UserError, match="the Hub states"):
        hub.refuse_altered(bad.parents[1], "")


def test_files_that_nobody_speaks_of(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(BODY)
    assert hub.stated(tmp_path / "model.safetensors") is None


def test_an_altered_base_model_is_not_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "own"))
    folder = home / "own" / "somebody--model"
    for name in ("unet", "vae", "text_encoder"):
        noted(folder, f"{name}/model.safetensors")
    (folder / "model_index.json").write_text('{"unet": 1, "vae": 1, "text_encoder": 1}')
    assert base_path("somebody/model") == folder
    (folder / "vae" / "model.safetensors").write_bytes(b"not the same")
    with pytest.raises(UserError, match="vae/model"):
        base_path("somebody/model")
    assert check.status(base_checkpoint("somebody/model")).state is check.State.altered


def test_a_judge_without_a_digest_in_the_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "own"))
    row = Checkpoint("judge", "", Hub("somebody/judge", "a" * 40), (File("w.bin"),), "MIT", ("id",))
    path = noted(home / "own" / "judge", "w.bin")
    assert check.status(row).state is check.State.verified
    path.write_bytes(b"not the same")
    assert "the Hub states" in check.status(row).detail
