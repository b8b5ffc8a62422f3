"""Votes are counted for whom they are, whichever side that stood on; who did not look is left out and named."""

import json
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from spf_bench.errors import UserError
from spf_bench.figures.study import _read
from spf_bench.files.store import write_json
from spf_bench.study import sheets
from spf_bench.study import tally as tallying
from spf_bench.study.agreement import agreement_of, coded
from spf_bench.study.answers import Answer, Given, collect
from spf_bench.study.bradley_terry import PRIOR, strengths
from spf_bench.study.exclude import Rules, judge
from spf_bench.study.model import Ballot, Item, Study
from spf_bench.study.plan import Ask
from spf_bench.study.votes import Votes
from spf_bench.table.layout import Format
from tests.bench.study.conftest import Made, made

pytest.importorskip("evalica", reason="evalica is not installed")
Choose = Callable[[Study, Ballot, Item, str], str]
"""Whom a participant chooses: a, b, or left or right as it stands."""


def answers(study: Study, choose: Choose, seconds: float = 4.0, among: Sequence[int] | None = None) -> list[Answer]:
    """Return what participants answer who all choose by one rule."""
    found = []
    for ballot in study.ballots:
        for item in ballot.items if among is None or ballot.number in among else ():
            for question in ("OBC", "TAR", "AP"):
                said = choose(study, ballot, item, question)
                side = said if said in ("left", "right", "equal") else ("left", "right")[(said == "b") != item.flipped]
                found.append(Answer(ballot.number, item.unit, question, side, item.chosen(side), seconds))
    return found


def favours(*order: str) -> Choose:
    """Choose the method that comes first in ``order``, and the right answer of a check."""

    def choose(study: Study, _: Ballot, item: Item, question: str) -> str:
        unit = study.units[item.unit].unit
        return "a" if unit.check or order.index(unit.a) < order.index(unit.b) else "b"

    return choose


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("tally"), Ask(participants=8, pairs=12, checks=4), ties=True)


ORDER = ("SPF", "Frozen", "Prompt only", "Naive fine-tuning")


def test_the_favourite_gets_all_votes_wherever_it_stands(study: Made) -> None:
    made = tallying.tally(study.study, Given(tuple(answers(study.study, favours(*ORDER))), ()), draws=50)
    for pairs in made.questions.values():
        assert sum(pair.votes_a + pair.votes_b for pair in pairs) == 8 * 12
        for pair in pairs:
            won = pair.votes_a if ORDER.index(pair.a) < ORDER.index(pair.b) else pair.votes_b
            assert won == pair.votes_a + pair.votes_b and pair.ties == 0
            assert pair.percent_a.value == pair.percent_a.lo == pair.percent_a.hi
    strengths = made.strengths["OBC"]
    assert sorted(strengths, key=lambda label: -(strengths[label].value or 0)) == list(ORDER)
    assert abs(sum(one.value or 0 for one in strengths.values())) < 1e-6
    assert made.agreement["AP"].alpha.value == pytest.approx(1) and made.agreement["AP"].ratings == 96
    assert len(made.counted) == 8 and all(one.right == one.checked == 8 for one in made.participants)


def test_chance_is_half_and_agrees_on_nothing(study: Made) -> None:
    rng = np.random.default_rng(0)

    def coin(study: Study, _: Ballot, item: Item, question: str) -> str:
        return "a" if study.units[item.unit].unit.check or rng.random() < 0.5 else "b"

    made = tallying.tally(study.study, Given(tuple(answers(study.study, coin)), ()), draws=200)
    for key, agreement in made.agreement.items():
        assert abs(agreement.alpha.value or 0) < 0.25
        assert (agreement.alpha.lo or 0) < (agreement.alpha.value or 0) < (agreement.alpha.hi or 0)
        for one in made.strengths[key].values():
            assert (one.lo or 0) < (one.value or 0) < (one.hi or 0) and abs(one.value or 0) < 1.5


LABELS, PAIRS = ["A", "B", "C"], [("A", "B"), ("A", "C"), ("B", "C")]
VOTES = np.array([[8.0, 3.0, 0.0], [9.0, 0.0, 1.0], [4.0, 5.0, 0.0]])


def test_strengths_are_the_most_likely_ones() -> None:
    def loss(free: np.ndarray) -> float:
        logs = dict(zip(LABELS, [0.0, *free], strict=True))
        odds = [logs[a] - logs[b] for a, b in PAIRS]
        wins = VOTES[:, :2] + (VOTES[:, 2:] + PRIOR) / 2
        each = [w * np.logaddexp(0, -d) + v * np.logaddexp(0, d) for (w, v), d in zip(wins, odds, strict=True)]
        return float(sum(each))

    best = np.array([0.0, *minimize(loss, np.zeros(2), tol=1e-12).x])
    assert strengths(LABELS, PAIRS, VOTES) == pytest.approx(best - best.mean(), abs=1e-4)


def test_strengths_are_those_of_evalica_and_of_each_resample_alone() -> None:
    import evalica

    many = np.stack([VOTES, VOTES[::-1], 0 * VOTES])
    together = strengths(LABELS, PAIRS, many)
    assert together[2] == pytest.approx(0)
    for votes, found in zip(many, together, strict=True):
        first, second = ([pair[side] for pair in PAIRS for _ in range(3)] for side in (0, 1))
        winners = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw] * 3
        weights = (votes + np.array([0, 0, PRIOR])).ravel()
        theirs = evalica.bradley_terry(first, second, winners, weights=weights, tolerance=1e-9, limit=10_000)
        logs = np.log(theirs.scores[LABELS].to_numpy())
        assert found == pytest.approx(logs - logs.mean(), abs=1e-5)
        assert found == pytest.approx(strengths(LABELS, PAIRS, votes), abs=1e-6)


def test_alpha_is_that_of_pairs_of_raters() -> None:
    said = {0: "aa", 1: "aa", 2: "ab", 3: "bb", 4: "ab", 5: "aaa"}
    rows = [
        Answer(number, unit, "OBC", "left", choice, 1.0)
        for unit, choices in said.items()
        for number, choice in enumerate(choices)
    ]
    codes = [[coded(answer) for answer in rows if answer.unit == unit] for unit in said]
    total = len(rows)
    observed = sum(2 * sum(x != y for x, y in combinations(one, 2)) / (len(one) - 1) for one in codes)
    counts = [sum(one.count(code) for one in codes) for code in (0.0, 1.0)]
    expected = 2 * counts[0] * counts[1] / (total - 1)
    found = agreement_of(rows, 50, 0)
    assert found.alpha.value == pytest.approx(1 - observed / expected) and (found.units, found.ratings) == (6, 13)
    alone = agreement_of(rows[:1], 50, 0)
    assert alone.alpha.value is None and alone.units == 0


def test_intervals_are_of_people_not_of_votes(study: Made) -> None:
    """Two camps: every vote of a participant is the same, so eight people are eight votes."""

    def camps(study: Study, ballot: Ballot, item: Item, question: str) -> str:
        order = ORDER if ballot.number % 2 else ORDER[::-1]
        return favours(*order)(study, ballot, item, question)

    made = tallying.tally(study.study, Given(tuple(answers(study.study, camps)), ()), draws=500)
    for pair in made.questions["TAR"]:
        assert pair.percent_a.value == pytest.approx(50, abs=10)
        assert (pair.percent_a.hi or 0) - (pair.percent_a.lo or 0) > 50


@pytest.mark.parametrize(
    ("number", "rule", "seconds", "reason"),
    [
        (1, lambda s, b, i, q: "b" if s.units[i.unit].unit.check else "a", 4.0, "0 of 8 attention checks right, 75%"),
        (2, favours(*ORDER), 0.4, "0.4 s for an answer, 1 s needed"),
        (3, lambda s, b, i, q: "right", 4.0, "100% of answers to the right"),
    ],
)
def test_who_did_not_look_is_excluded_with_the_reason(
    study: Made, number: int, rule: Choose, seconds: float, reason: str
) -> None:
    good = answers(study.study, favours(*ORDER), among=[n for n in range(1, 9) if n != number])
    bad = answers(study.study, rule, seconds, among=[number])
    made = tallying.tally(study.study, Given((*good, *bad), ()), draws=20)
    out = [one for one in made.participants if one.reasons]
    assert [one.number for one in out] == [number] and any(reason in text for text in out[0].reasons)
    alone = tallying.tally(study.study, Given(tuple(good), ()), draws=20)
    assert made.questions == alone.questions and made.strengths == alone.strengths
    printed = sheets.render(study.study, made, Format.text)
    assert reason in printed and "7 counted, 1 excluded, 0 did not answer" in printed


def test_half_a_ballot_is_the_least_that_counts(study: Made) -> None:
    some = answers(study.study, favours(*ORDER), among=[1])
    assert judge(study.study, some[: len(some) // 2], Rules())[0].reasons == ()
    found = judge(study.study, some[: len(some) // 2 - 1], Rules())[0].reasons
    assert found == ("23 of 48 questions answered, 50% needed",)
    with pytest.raises(UserError, match="nobody is left") as refused:
        tallying.tally(study.study, Given(tuple(some[:5]), ()))
    assert "5 of 48" in str(refused.value)


def test_a_tally_in_every_format_and_as_the_figure_reads_it(study: Made, tmp_path: Path) -> None:
    equal = answers(study.study, lambda s, b, i, q: "a" if s.units[i.unit].unit.check else "equal")
    made = tallying.tally(study.study, Given(tuple(equal), ("a note",)), draws=20)
    for kind in Format:
        assert "SPF" in sheets.render(study.study, made, kind)
    assert "100.0" in sheets.render(study.study, made, Format.text) and "a note" in sheets.render(
        study.study, made, Format.text
    )
    write_json(tmp_path / "tally.json", sheets.to_json(study.study, made))
    drawn = _read(tmp_path / "tally.json")
    assert list(drawn) == ["OBC", "TAR", "AP"]
    assert sum(ties for *_, ties in drawn["OBC"]) == 96 and sum(pair[2] + pair[3] for pair in drawn["OBC"]) == 0


def sent(of: Study, number: int, saved: str = "2026-01-02", **changes: object) -> dict[str, object]:
    ballot = of.ballots[number - 1]
    rows = [
        {"item": item.key, "question": q, "choice": "left", "seconds": 2.5}
        for item in ballot.items
        for q in ("OBC", "TAR", "AP")
    ]
    return {"study": of.id, "code": ballot.code, "saved": saved, "answers": rows, **changes}


def test_files_that_were_sent_back_count_once_each(study: Made, tmp_path: Path) -> None:
    for name, content in {
        "one.json": sent(study.study, 1, "2026-01-02"),
        "one-again.json": sent(study.study, 1, "2026-01-03", answers=sent(study.study, 1)["answers"][:3]),  # type: ignore[index]
        "two.json": sent(study.study, 2),
    }.items():
        (tmp_path / name).write_text(json.dumps(content))
    given = collect(study.study, study.folder, [tmp_path, tmp_path / "two.json"])
    assert len(given.answers) == 3 + 48 and {answer.participant for answer in given.answers} == {1, 2}
    assert given.notes == ("one.json: participant 1 sent a later file, which counts",)


def test_who_voted_at_the_server_does_not_vote_by_file(study: Made, tmp_path: Path) -> None:
    votes = Votes(study.folder / "votes.sqlite")
    first = study.study.ballots[0]
    votes.vote(1, first.items[0].key, "OBC", "right", 1e6)
    votes.vote(1, study.study.ballots[1].items[0].key, "OBC", "right", 1e6)  # another's item: not theirs to answer
    votes.close()
    (tmp_path / "one.json").write_text(json.dumps(sent(study.study, 1)))
    given = collect(study.study, study.folder, [tmp_path])
    for path in study.folder.glob("votes.sqlite*"):
        path.unlink()
    assert [(answer.side, answer.choice) for answer in given.answers] == [("right", first.items[0].chosen("right"))]
    assert len(given.notes) == 2 and "voted at the server" in given.notes[1]


def test_files_from_outside_are_checked_all_at_once(study: Made, tmp_path: Path) -> None:
    row = sent(study.study, 1)["answers"][0]  # type: ignore[index]
    foreign = study.study.ballots[1].items[0].key
    bad: dict[str, object] = {
        "study": sent(study.study, 1, study="x"),
        "code": sent(study.study, 1, code="01-" + "0" * 16),
        "twice": sent(study.study, 1, answers=[row, row]),
        "foreign": sent(study.study, 1, answers=[{**row, "item": foreign}]),
        "choice": sent(study.study, 1, answers=[{**row, "choice": "middle"}]),
        "time": sent(study.study, 1, answers=[{**row, "seconds": -1}]),
        "nan": sent(study.study, 1, answers=[{**row, "seconds": float("nan")}]),
        "list": [1],
        "rows": sent(study.study, 1, answers=[3]),
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "broken.json").write_text('{"study": ')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="12 files") as refused:
        collect(study.study, study.folder, [tmp_path])
    said = str(refused.value)
    for words in ("another study", "nobody was invited", "given twice", "no JSON:", "no UTF-8", "no JSON object"):
        assert words in said


def test_without_answers_it_says_how_to_get_some(study: Made, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody has answered") as refused:
        collect(study.study, study.folder)
    assert "study serve" in refused.value.fix
    with pytest.raises(UserError, match="there is no"):
        collect(study.study, study.folder, [tmp_path / "nowhere"])
