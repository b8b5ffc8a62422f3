"""What the Hub's cache holds is compared with the name it is kept under, which is its SHA-256."""

import hashlib
from pathlib import Path

import huggingface_hub
import pytest

from spf_train.errors import ConfigError
from spf_train.hub import snapshot

SHA = hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(("body", "sound"), [(b"weights", True), (b"others!", False)])
def test_weights_that_are_not_what_the_hub_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, sound: bool
) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / SHA).write_bytes(body)
    (tmp_path / "snapshot" / "unet").mkdir(parents=True)
    (tmp_path / "snapshot" / "unet" / "model.safetensors").symlink_to(tmp_path / "blobs" / SHA)
    (tmp_path / "snapshot" / "config.json").write_text("{}")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "snapshot"))
    if sound:
        assert snapshot("somebody/model", ["*"]) == tmp_path / "snapshot"
        return
    with pytest.raises(ConfigError, match=r"model\.safetensors has another SHA-256"):
        snapshot("somebody/model", ["*"])
