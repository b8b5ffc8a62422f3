"""The table of checkpoints, and what is said of files that are missing, altered, or as upstream released them."""

import hashlib
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from spf_bench import weights
from spf_bench.errors import UserError
from spf_bench.metrics.catalogue import catalogue
from spf_bench.progress import Silent
from spf_bench.weights import fetch as fetching
from spf_bench.weights import ledger, table
from spf_bench.weights.check import State, status
from spf_bench.weights.checkpoint import Checkpoint, File, Hub, Url
from spf_bench.weights.table import CHECKPOINTS, chosen

BODY = b"tensors" * 1000
SHA = hashlib.sha256(BODY).hexdigest()


def checkpoint(url="http://127.0.0.1:9/w.pth", **facts):
    return Checkpoint("w", "a network", Url(url), (File("w.pth", **facts),), "MIT", ("lpips",))


def put(home, body=BODY, name="w.pth"):
    path = home / "torch" / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


@pytest.fixture
def known(monkeypatch):
    """Lets the package know other checkpoints than the published ones."""

    def know(*rows):
        monkeypatch.setattr(table, "_ROWS", rows)
        for module in ("table", "check"):
            monkeypatch.setattr(f"spf_bench.weights.{module}.CHECKPOINTS", {row.name: row for row in rows})

    return know


def test_the_table_is_complete():
    keys = {metric.key for metric in catalogue()} | {"portraits"}
    for row in CHECKPOINTS.values():
        assert row.licence and row.title and row.used_by
        assert set(row.used_by) <= keys, f"{row.name} is used by a metric nobody knows"
        assert all(re.fullmatch("[0-9a-f]{8,64}", file.sha256) for file in row.files if file.sha256)
        assert all(re.fullmatch("[0-9a-f]{32}", file.md5) for file in row.files if file.md5)
        fixed = isinstance(row.source, Url) or re.fullmatch("[0-9a-f]{40}", row.source.revision)
        assert fixed or row.name == "base"


def test_torch_hubs_names_agree_with_the_stated_digests():
    for row in CHECKPOINTS.values():
        for file in row.files:
            named = re.search(r"-([0-9a-f]{8})\.pth", file.name)
            assert not named or file.sha256.startswith(named[1])


def test_whoever_forbids_commercial_use_is_quoted():
    (faces,) = chosen(["id"])
    assert faces.name == "buffalo_l" and "non-commercial" in faces.terms


def test_a_metric_brings_everything_it_looks_through():
    assert [row.name for row in chosen(["image_reward"])] == ["image_reward", "bert_vocab"]
    assert {row.name for row in chosen(["mps", "fid"])} == {"clip", "mps", "inception"}
    assert {row.name for row in chosen([])} == {row.name for row in chosen(["all"]) if not row.optional}
    with pytest.raises(UserError, match="'lpps'"):
        chosen(["lpps"])


def test_missing_kept_verified_altered(home):
    assert status(checkpoint()).state is State.missing
    path = put(home)
    assert status(checkpoint()).state is State.kept
    found = status(checkpoint(sha256=SHA))
    assert found.state is State.verified and found.files == (path,) and found.sha256 == (SHA,)
    assert status(checkpoint(sha256=SHA[:8])).state is State.verified
    assert status(checkpoint(md5=hashlib.md5(BODY).hexdigest())).state is State.verified
    for wrong in ({"sha256": "0" * 64}, {"md5": "0" * 32}):
        assert status(checkpoint(**wrong)).state is State.altered


def test_a_size_is_not_held_against_a_file_with_the_right_digest(home):
    put(home)
    assert status(checkpoint(sha256=SHA, size=3)).usable
    assert status(checkpoint(size=3)).state is State.altered


def test_what_upstream_does_not_state_must_stay_as_it_was_first_seen(home):
    put(home)
    assert status(checkpoint()).usable
    put(home, BODY + b"!")
    found = status(checkpoint())
    assert found.state is State.altered and "first seen" in found.detail


def test_a_file_is_read_once_and_again_when_it_changes(home, monkeypatch):
    path, reads = put(home), []
    digests = ledger._digests
    monkeypatch.setattr(ledger, "_digests", lambda p: reads.append(p) or digests(p))
    assert [status(checkpoint(sha256=SHA)).usable for _ in range(3)] == [True] * 3
    assert len(reads) == 1
    path.write_bytes(BODY[:-1] + b"?")
    os.utime(path, (1, 1))
    assert not status(checkpoint(sha256=SHA)).usable and len(reads) == 2


def test_a_ledger_that_cannot_be_read_or_written_costs_only_time(home):
    put(home)
    (home / "cache").write_text("a file where a folder should be")
    assert status(checkpoint(sha256=SHA)).usable


def test_everything_unusable_is_named_at_once(home, known):
    put(home, name="a.pth")
    a = Checkpoint("a", "", Url("http://127.0.0.1:9/a.pth"), (File("a.pth", sha256="0" * 64),), "MIT", ("id",))
    b = replace(a, name="b", files=(File("b.pth"),))
    known(a, b)
    with pytest.raises(UserError, match="2 of 2") as caught:
        weights.require(["a", "b"])
    assert [p.fix for p in caught.value.problems] == ["spf-bench weights fetch a --force", "spf-bench weights fetch b"]
    with pytest.raises(UserError, match="has sha256"):
        weights.path("a")


def test_the_users_own_folder_comes_first(home, monkeypatch):
    put(home)
    own = home / "mine" / "w" / "w.pth"
    own.parent.mkdir(parents=True)
    own.write_bytes(BODY)
    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "mine"))
    assert status(checkpoint(sha256=SHA)).files == (own,)


def test_a_digest_depends_on_names_and_contents(home, known):
    put(home)
    known(checkpoint(sha256=SHA))
    before = weights.digest("w")
    put(home, b"other")
    known(checkpoint())
    ledger.drop(["http://127.0.0.1:9/w.pth w.pth"])
    assert len(before) == 64 and weights.digest("w") != before


def test_fetch_verifies_and_resumes(home, server):
    server.files["w.pth"] = BODY
    row = checkpoint(f"{server.url}/w.pth", sha256=SHA)
    (found,) = fetching.fetch([row], Silent())
    assert found.state is State.verified
    fetching.fetch([row], Silent())
    assert len(server.asked) == 1, "what is here is not fetched again"
    fetching.fetch([row], Silent(), force=True)
    assert len(server.asked) == 2


def test_fetch_throws_away_what_is_not_as_stated(home, server):
    server.files |= {"w.pth": b"an error page", "v.pth": BODY}
    bad = checkpoint(f"{server.url}/w.pth", sha256=SHA)
    good = Checkpoint("v", "", Url(f"{server.url}/v.pth"), (File("v.pth", sha256=SHA),), "MIT", ("id",))
    with pytest.raises(UserError, match="1 of 2") as caught:
        fetching.fetch([bad, good], Silent())
    assert "thrown away" in str(caught.value)
    assert not list(home.rglob("w.pth*")) and status(good).usable


def test_fetch_takes_the_listed_files_out_of_a_zip(home, server):
    body = home / "pack.zip"
    with zipfile.ZipFile(body, "w") as zipped:
        zipped.writestr("pack/w.pth", BODY)
        zipped.writestr("pack/other.onnx", "not wanted")
        zipped.writestr("../../escape.txt", "nor this")
    server.files["pack.zip"] = body.read_bytes()
    archive = File("pack.zip", sha256=hashlib.sha256(body.read_bytes()).hexdigest())
    row = replace(checkpoint(sha256=SHA), source=Url(f"{server.url}/pack.zip", archive))
    (found,) = fetching.fetch([row], Silent())
    assert found.state is State.verified
    assert [path.name for path in found.files[0].parent.iterdir()] == ["w.pth"]
    assert not list(home.rglob("escape.txt"))


def test_fetch_from_the_hub_asks_for_the_pinned_commit(home, monkeypatch):
    asked = []

    def download(repo, name, revision, local_dir, force_download):
        asked.append((repo, name, revision, force_download))
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_bytes(BODY)

    monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "mine"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    row = replace(checkpoint(sha256=SHA), source=Hub("owner/name", "abc"))
    (found,) = fetching.fetch([row], Silent())
    assert found.state is State.verified and asked == [("owner/name", "w.pth", "abc", False)]


def test_nothing_is_fetched_offline(home, server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        fetching.fetch([checkpoint(f"{server.url}/w.pth")], Silent())
    assert not server.asked


def on_the_hub(size=100):
    return replace(checkpoint(size=size), name="h", source=Hub("owner/name", "0" * 40))


@pytest.mark.parametrize("full", ["torch", "hub", "own", "together", None])
def test_room_is_looked_for_where_files_go(home, monkeypatch, full):
    hub = home / "hub"
    hub.mkdir()
    put(home, name="other.pth")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    if full == "own":
        monkeypatch.setenv("SPF_BENCH_WEIGHTS", str(home / "own"))
    if full != "together":
        disks = {str(hub): 2, str(home / "torch" / "hub" / "checkpoints"): 3}
        stat = Path.stat
        monkeypatch.setattr(
            Path, "stat", lambda path, **how: SimpleNamespace(st_dev=disks[str(path)], st_mode=stat(path).st_mode)
            if str(path) in disks else stat(path, **how)
        )  # fmt: skip
    room = {"torch": {"hub": 100}, "hub": {"checkpoints": 100}, "own": {}, "together": {"hub": 150}}.get(full, {})
    default = 199 if full in ("own", "together") else 99 if full else 100
    asked = []

    def usage(place):
        asked.append(place)
        return SimpleNamespace(free=room.get(place.name, default))

    monkeypatch.setattr(fetching.shutil, "disk_usage", usage)
    rows = [checkpoint(size=100), on_the_hub()]
    if full is None:
        fetching._room(rows)
        assert sorted(place.name for place in asked) == ["checkpoints", "hub"]
        return
    with pytest.raises(UserError, match="no room"):
        fetching._room(rows)


def test_a_disk_without_room_is_refused_before_anything_comes(home, server):
    with pytest.raises(UserError, match="no room"):
        fetching.fetch([checkpoint(f"{server.url}/w.pth", size=1 << 60)], Silent())
    assert not server.asked
