"""The server shows everyone their own ballot and nothing else, and takes only votes that belong to it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spf_bench.errors import UserError
from spf_bench.study.model import Ballot
from tests.bench.showcase import HOSTILE
from tests.bench.study.conftest import SMALL, Made, made

pytest.importorskip("flask", reason="Flask is not installed")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("study"), SMALL, minutes=10)


@pytest.fixture
def client(study: Made) -> Iterator[Any]:
    from spf_bench.study.server import create

    app = create(study.folder)
    yield app.test_client()
    app.extensions["votes"].close()
    for path in study.folder.glob("votes.sqlite*"):
        path.unlink()


def vote(client: Any, ballot: Ballot, choice: str = "left", question: str = "OBC", key: str | None = None) -> Any:
    body = {"item": key or ballot.items[0].key, "question": question, "choice": choice}
    return client.put(f"/b/{ballot.code}/vote", json=body)


def asked(client: Any, ballot: Ballot) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/b/{ballot.code}/ballot").get_json()
    return found


def test_a_code_leads_to_the_ballot_of_its_participant(client: Any, study: Made) -> None:
    first, second = study.study.ballots[:2]
    assert b"code of your invitation" in client.get("/").data
    moved = client.get("/", query_string={"code": f" {first.code.upper()} "})
    assert moved.status_code == 303 and moved.headers["Location"].endswith(f"b/{first.code}/")
    assert [item["key"] for item in asked(client, first)["items"]] == [item.key for item in first.items]
    assert not {item["key"] for item in asked(client, first)["items"]} & {
        i["key"] for i in asked(client, second)["items"]
    }


@pytest.mark.parametrize(
    "path", ["/b/01-0/", "/b/x/ballot", "/study.json", "/b/../study.json", "/images/a.png", "/?code=x"]
)
def test_nothing_else_is_there(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and b"not known" in answer.data


def test_no_name_of_a_method_reaches_the_browser(client: Any, study: Made) -> None:
    ballot = study.study.ballots[0]
    secret = {name for m in study.study.methods for name in (m.label, m.method, m.run) if len(name) > 3}
    secret |= {one.unit.triple for one in study.study.units} | {one.original for one in study.study.units}
    secret |= {name for one in study.study.units for name in one.images}
    page = asked(client, ballot)
    paths = ["/", f"/b/{ballot.code}/", f"/b/{ballot.code}/ballot"]
    paths += [f"/b/{ballot.code}/{item[side]}" for item in page["items"] for side in ("original", "left", "right")]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        seen = answer.data.decode("latin1") + str(answer.headers)
        assert not [name for name in secret if name in seen], path
        assert "Last-Modified" not in answer.headers and "Content-Disposition" not in answer.headers
    assert "check" not in json.dumps(page["items"])
    assert all(
        re.fullmatch(r"i/[0-9a-f]{12}-[olr]", item[s]) for item in page["items"] for s in ("original", "left", "right")
    )


def test_sides_are_as_they_were_dealt(client: Any, study: Made) -> None:
    ballot = study.study.ballots[0]
    for item, told in zip(ballot.items, asked(client, ballot)["items"], strict=True):
        one = study.study.units[item.unit]
        names = one.images[::-1] if item.flipped else one.images
        for side, name in zip(("left", "right"), names, strict=True):
            raw = client.get(f"/b/{ballot.code}/{told[side]}").data
            assert raw == (study.folder / "images" / name).read_bytes()
    assert item.chosen("left") == ("b" if item.flipped else "a") and item.chosen("equal") == "equal"


def test_a_participant_sees_no_portrait_and_no_answer_of_another(client: Any, study: Made) -> None:
    first, second = study.study.ballots[:2]
    assert vote(client, first, "right").status_code == 200
    assert asked(client, second)["answers"] == {}
    assert asked(client, first)["answers"] == {first.items[0].key: {"OBC": "right"}}
    assert client.get(f"/b/{second.code}/i/{first.items[0].key}-l").status_code == 404
    assert vote(client, second, key=first.items[0].key).status_code == 400
    assert asked(client, first)["answers"] == {first.items[0].key: {"OBC": "right"}}


@pytest.mark.parametrize(
    "body", [None, [], "left", {}, {"item": 3, "question": "OBC", "choice": "left"}, {"choice": ["left"]}]
)
def test_what_is_no_vote_is_refused(client: Any, study: Made, body: Any) -> None:
    answer = client.put(f"/b/{study.study.ballots[0].code}/vote", json=body)
    assert answer.status_code == 400 and "not of this ballot" in answer.get_json()["error"]
    assert asked(client, study.study.ballots[0])["answers"] == {}


@pytest.mark.parametrize("data", [b"[" * 1990, b'{"a":' * 390, b"\xff", b"{"])
def test_what_is_no_json_is_refused(client: Any, study: Made, data: bytes) -> None:
    where = f"/b/{study.study.ballots[0].code}/vote"
    answer = client.put(where, data=data, content_type="application/json")
    assert answer.status_code == 400 and "not of this ballot" in answer.get_json()["error"]


def test_equal_needs_a_study_that_allows_it_and_a_vote_is_small(client: Any, study: Made) -> None:
    ballot = study.study.ballots[0]
    assert vote(client, ballot, "equal").status_code == 400
    assert vote(client, ballot, question="OBX").status_code == 400
    assert client.put(f"/b/{ballot.code}/vote", data=b"x" * 10_000).status_code in (400, 413)
    assert client.put("/b/x/vote", json={}).status_code == 404


def test_handed_in_is_handed_in(client: Any, study: Made) -> None:
    ballot = study.study.ballots[2]
    left = vote(client, ballot).get_json()["left"]
    assert 590 < left <= 600
    assert client.post(f"/b/{ballot.code}/finish").get_json() == {"finished": True}
    refused = vote(client, ballot, "right")
    assert refused.status_code == 409 and refused.get_json() == {"closed": "finished"}
    told = asked(client, ballot)
    assert told["finished"] and told["answers"] == {ballot.items[0].key: {"OBC": "left"}}


def test_pages_allow_nothing_from_outside_and_leak_no_address(client: Any, study: Made) -> None:
    page = client.get(f"/b/{study.study.ballots[0].code}/")
    assert b"default-src 'none'" in page.data and b"http" not in page.data.replace(b"http-equiv", b"")
    assert page.headers["Referrer-Policy"] == "no-referrer" and page.headers["Cache-Control"] == "no-store"
    assert HOSTILE.encode() not in page.data


def test_a_port_that_is_taken_is_told(study: Made) -> None:
    pytest.importorskip("waitress", reason="waitress is not installed")
    from spf_bench.study.server import port_of, serve

    first = serve(study.folder, "127.0.0.1", 0)
    with pytest.raises(UserError, match="cannot listen") as refused:
        serve(study.folder, "127.0.0.1", port_of(first))
    first.close()
    assert "--port" in refused.value.fix


def test_without_flask_the_extra_is_named(study: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from spf_bench.study.server import create

    monkeypatch.setitem(__import__("sys").modules, "flask", None)
    with pytest.raises(UserError) as refused:
        create(study.folder)
    assert "'.[study]'" in refused.value.fix
