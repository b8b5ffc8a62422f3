"""The three commands one after another, and what they say to mistakes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.study.model import Study
from spf_bench.study.server import create
from spf_bench.study.votes import Votes
from tests.bench.showcase import show

pytest.importorskip("evalica", reason="evalica is not installed")
Cli = Callable[..., object]


def test_make_vote_tally(cli: Cli, tmp_path: Path) -> None:
    runs, frozen = show(tmp_path)
    folder = tmp_path / "study"
    size = ("--participants", 3, "--pairs", 6, "--checks", 2)
    done = cli("study", "make", "--runs", runs, "--to", folder, "--ours", "spf", *size, "--testset", frozen.folder)
    assert done.exit_code == 0, done.output
    assert "study serve" in done.stdout and "3 participants, 6 comparisons" in done.stdout
    study = Study.load(folder)
    votes = Votes(folder / "votes.sqlite")
    for ballot in study.ballots[:2]:
        for number, item in enumerate(ballot.items):
            a = "right" if item.flipped else "left"
            for key in ("OBC", "TAR", "AP"):
                other = number % 3 == 0 and not study.units[item.unit].unit.check
                votes.vote(ballot.number, item.key, key, {"left": "right", "right": "left"}[a] if other else a, 1e6)
    votes.close()
    fast = cli("study", "tally", folder)
    assert fast.exit_code == 2 and "1 s needed" in fast.stderr
    told = cli("study", "tally", folder, "--least-seconds", 0, "--format", "md")
    assert told.exit_code == 0, told.output
    assert "2 counted, 0 excluded, 1 did not answer" in told.stdout and "| OBC | SPF |" in told.stdout
    tally = json.loads((folder / "tally.json").read_text())
    assert {pair["a"] for pair in tally["questions"]["AP"]} == {"SPF"} and tally["invited"] == 3
    assert (
        cli("study", "tally", folder, "--least-seconds", 0, "--format", "json").stdout
        == (folder / "tally.json").read_text()
    )


def test_one_file_ballot(cli: Cli, tmp_path: Path) -> None:
    runs, frozen = show(tmp_path)
    size = ("--participants", 2, "--pairs", 2, "--checks", 0)
    done = cli("study", "make", "--runs", runs, "--to", tmp_path / "s", *size, "--static", "--testset", frozen.folder)
    assert done.exit_code == 0 and "ballot.html" in done.stdout
    first = next(csv.DictReader((tmp_path / "s" / "invitations.csv").open()))
    assert first["file"] == f"ballot.html#{first['code']}"
    asked = create(tmp_path / "s").test_client().get(first["link"])
    assert asked.status_code == 200


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("study", "make", "--runs", "nowhere"), "no finished run in nowhere"),
        (("study", "serve", "nowhere"), "there is no study in nowhere"),
        (("study", "tally", "nowhere"), "there is no study in nowhere"),
        (("study", "make", "--pairs", "0"), "--pairs"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(cli: Cli, words: tuple[str, ...], complaint: str) -> None:
    result = cli(*words)
    assert result.exit_code == 2 and complaint in result.stderr and "Traceback" not in result.output
