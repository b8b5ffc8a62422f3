"""A download is whole or not there, and nothing that came is fetched twice."""

import pytest

from spf_bench.errors import UserError
from spf_bench.progress import Silent
from spf_bench.weights.download import download

BODY = bytes(range(256)) * 4096


def test_a_download_arrives_whole(server, tmp_path):
    server.files["w.pth"] = BODY
    download(f"{server.url}/w.pth", tmp_path / "new" / "w.pth", None, Silent())
    assert (tmp_path / "new" / "w.pth").read_bytes() == BODY
    assert not list(tmp_path.rglob("*.part"))


def test_it_goes_on_where_it_was_cut_off(server, tmp_path):
    server.files["w.pth"], server.breaks_after = BODY, 300_000
    with pytest.raises(UserError, match="cannot fetch"):
        download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent())
    assert not (tmp_path / "w.pth").exists() and (tmp_path / "w.pth.part").stat().st_size == 300_000
    server.breaks_after = None
    download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent(), verified=True)
    assert (tmp_path / "w.pth").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize(("verified", "asked"), [(True, [None, "bytes=300000-", None]), (False, [None, None])])
def test_without_a_tag_another_length_or_no_digest_begins_anew(server, tmp_path, verified, asked):
    server.files["w.pth"], server.breaks_after = BODY, 300_000
    with pytest.raises(UserError, match="cannot fetch"):
        download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent(), verified=verified)
    server.breaks_after, server.files["w.pth"] = None, BODY[::-1] + b"more"
    download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent(), verified=verified)
    assert (tmp_path / "w.pth").read_bytes() == BODY[::-1] + b"more"
    assert server.asked == asked and not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("changed", [False, True])
def test_a_file_that_changed_meanwhile_is_never_spliced(server, tmp_path, changed):
    server.files["w.pth"], server.tags, server.breaks_after = BODY, True, 300_000
    with pytest.raises(UserError, match="cannot fetch"):
        download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent())
    server.breaks_after, now = None, BODY[::-1] if changed else BODY
    server.files["w.pth"] = now
    download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent())
    assert (tmp_path / "w.pth").read_bytes() == now
    assert server.asked[-1] == "bytes=300000-" and not list(tmp_path.glob("*.part*"))


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.files["w.pth"], server.ranges = BODY, False
    (tmp_path / "w.pth.part").write_bytes(BODY[:1000])
    download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent())
    assert (tmp_path / "w.pth").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_begun_anew(server, tmp_path):
    server.files["w.pth"] = BODY
    (tmp_path / "w.pth.part").write_bytes(BODY + b"more")
    download(f"{server.url}/w.pth", tmp_path / "w.pth", None, Silent())
    assert (tmp_path / "w.pth").read_bytes() == BODY


@pytest.mark.parametrize("url", ["{}/absent.pth", "http://127.0.0.1:9/w.pth", "file:///etc/hostname"])
def test_what_cannot_be_had_is_said(server, tmp_path, url):
    with pytest.raises(UserError):
        download(url.format(server.url), tmp_path / "w.pth", None, Silent())
    assert not (tmp_path / "w.pth").exists()


def test_a_place_that_takes_no_file_is_told_before_anybody_is_asked(server, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"cannot write .*w\.pth") as caught:
        download(f"{server.url}/w.pth", tmp_path / "file" / "w.pth", None, Silent())
    assert caught.value.why == "a file stands where a folder must be" and server.asked == []
