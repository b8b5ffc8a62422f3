"""A user study's folder, votes, answer files and server: whatever is sent, and whatever became of the files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spf_bench.errors import UserError
from spf_bench.study import sheets
from spf_bench.study.answers import collect
from spf_bench.study.exclude import Rules
from spf_bench.study.model import ANSWERS, STUDY, VOTES, Study
from spf_bench.study.page import static_ballot
from spf_bench.study.tally import tally
from spf_bench.study.votes import Votes
from spf_bench.table.layout import Format
from tests.bench.study.conftest import SMALL, Made, made
from tests.fuzz.outcome import fuzzed, in_time, outcome, writes_only_below
from tests.fuzz.strategies import as_json, damaged, mutated, texts, values

SECRET = "what nobody shall read"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("study")
    (root / "secret.txt").write_text(SECRET)
    return made(root, SMALL, minutes=10)


@pytest.fixture(scope="module")
def answers(study: Made) -> Any:
    """The file that a participant of the static ballot sends back."""
    own = study.study.ballots[0]
    rows = [
        {"item": item.key, "question": question.key, "choice": "left", "seconds": 4.5}
        for item in own.items
        for question in study.study.questions
    ]
    return {"study": study.study.id, "code": own.code, "saved": "2026-01-01T00:00:00Z", "answers": rows}


def _counted(folder: Path) -> str:
    asked = Study.load(folder)
    found = tally(asked, collect(asked, folder), Rules(0.75, 0.5, 1.0))
    json.dumps(sheets.to_json(asked, found), allow_nan=False)
    return sheets.render(asked, found, Format.tex)


@fuzzed(25)
@given(data=st.data())
def test_studies_from_anywhere(study: Made, tmp_path: Path, answers: Any, data: st.DataObject) -> None:
    whole = (study.folder / STUDY).read_bytes()
    raw = data.draw(st.one_of(mutated(json.loads(whole)).map(as_json), damaged(whole), values.map(as_json)))
    (tmp_path / STUDY).write_bytes(raw)
    (tmp_path / ANSWERS).mkdir(exist_ok=True)
    (tmp_path / ANSWERS / "a.json").write_bytes(as_json(answers))
    with writes_only_below(tmp_path):
        outcome(lambda: _counted(tmp_path))
        asked = outcome(lambda: Study.load(tmp_path))
    if isinstance(asked, Study):
        page = outcome(lambda: static_ballot(asked, study.folder))
        assert SECRET not in str(page)


@fuzzed(25)
@given(data=st.data())
def test_answers_that_were_sent_back(study: Made, answers: Any, data: st.DataObject) -> None:
    path = study.folder / ANSWERS / "b.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        data.draw(st.one_of(mutated(answers).map(as_json), damaged(as_json(answers)), values.map(as_json)))
    )
    told = outcome(lambda: _counted(study.folder))
    assert isinstance(told, UserError) or "tabular" in told
    path.unlink()


@fuzzed(15)
@given(data=st.data())
def test_votes_on_a_broken_disk(study: Made, tmp_path: Path, data: st.DataObject) -> None:
    path, own = tmp_path / VOTES, study.study.ballots[0]
    path.unlink(missing_ok=True)
    votes = Votes(path)
    votes.vote(own.number, own.items[0].key, "OBC", "left", 600)
    votes.close()
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    found = outcome(lambda: collect(study.study, tmp_path))
    assert isinstance(found, UserError) or len(found.answers) <= 1  # no vote that nobody gave


@pytest.fixture(scope="module")
def client(study: Made) -> Iterator[Any]:
    pytest.importorskip("flask", reason="Flask is not installed")
    from spf_bench.study.server import create

    app = create(study.folder)
    yield app.test_client()
    app.extensions["votes"].close()


ROADS = (
    "../study.json", "..%2fstudy.json", "%2e%2e/%2e%2e/secret.txt", "....//secret.txt", "/etc/passwd", "..\\secret.txt",
    "votes.sqlite", "invitations.csv", "images", "secret.txt%00.png", "file:///etc/passwd", "-o", "x-o",
    "-".ljust(9_000, "o"),
)  # fmt: skip


@fuzzed(60)
@given(
    road=st.one_of(st.sampled_from(ROADS), texts.map(lambda t: quote(t.encode("utf-8", "replace")))),
    at=st.integers(0, 4),
)
@example(road="../../secret.txt", at=0)
def test_no_address_leads_to_a_file_by_its_name(study: Made, client: Any, road: str, at: int) -> None:
    code = study.study.ballots[0].code
    start = ("/", f"/b/{code}/", f"/b/{code}/image/", f"/b/{code}/images/", f"/b/{road}/ballot?x=")[at]
    with in_time():
        answer = client.get(start + road)
    assert answer.status_code in (200, 303, 308, 400, 404) and SECRET.encode() not in answer.data
    if answer.status_code == 200:  # a ballot's page, or the door
        assert answer.mimetype == "text/html" and b"invitations" not in answer.data


@fuzzed(60)
@given(
    body=st.one_of(values.map(as_json), st.binary(max_size=40), st.just(b"[" * 1_900)),
    verb=st.sampled_from(("put", "post")),
)
def test_whatever_is_sent_as_a_vote(study: Made, client: Any, body: bytes, verb: str) -> None:
    place = f"/b/{study.study.ballots[1].code}/vote"
    with in_time():
        answer = getattr(client, verb)(place, data=body, content_type="application/json")
    assert answer.status_code in (400, 405, 409, 413)


@fuzzed(40)
@given(item=texts, question=texts, choice=texts)
def test_votes_of_no_ballot_are_not_counted(study: Made, client: Any, item: str, question: str, choice: str) -> None:
    own = study.study.ballots[2]
    body = {"item": item, "question": question, "choice": choice}
    assert client.put(f"/b/{own.code}/vote", json=body).status_code in (400, 413)
    assert not client.application.extensions["votes"].of(own.number)
