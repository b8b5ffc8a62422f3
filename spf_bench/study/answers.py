"""The answers of a study: votes of its server, and files that participants of the static ballot sent back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spf_bench.errors import Problem, UserError, quoted
from spf_bench.files.outside import short
from spf_bench.study.model import ANSWERS, VOTES, Ballot, Study
from spf_bench.study.votes import Votes

LARGEST = 5_000_000
"""Bytes of an answers file."""
LONGEST = 86_400.0
"""Seconds an answer can have taken."""


@dataclass(frozen=True)
class Answer:
    """What one participant answered to one question about one comparison."""

    participant: int
    unit: int
    question: str
    side: str
    """left, right or equal."""
    choice: str
    """Whom that stands for: a, b or equal."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True)
class Given:
    """Everything that came back."""

    answers: tuple[Answer, ...]
    notes: tuple[str, ...]
    """What was left out."""


def collect(study: Study, folder: Path, sent: Sequence[Path] = ()) -> Given:
    """Return all answers, one for each participant, comparison and question.

    Args:
        study: Of ``folder``.
        folder: Where the votes lie, and files that were sent back in ``answers``.
        sent: More such files, or folders of them.

    Raises:
        UserError: Files are not answers to this study, or there is no answer at all; everything is named.
    """
    votes, notes = _votes(study, folder)
    there = {answer.participant for answer in votes}
    found: dict[int, tuple[str, Path, list[Answer]]] = {}
    problems = []
    for path in _files(folder, sent):
        try:
            number, saved, answers = _read(study, path)
        except ValueError as error:
            problems.append(Problem(str(path), str(error), "ask for it again, or take it away"))
            continue
        if number in there:
            notes.append(f"{path.name}: participant {number} has voted at the server, which counts")
        elif number in found:
            older = min((found[number], (saved, path, answers)), key=lambda one: one[0])
            found[number] = max((found[number], (saved, path, answers)), key=lambda one: one[0])
            notes.append(f"{older[1].name}: participant {number} sent a later file, which counts")
        else:
            found[number] = saved, path, answers
    if problems:
        raise UserError(f"{len(problems)} files are not answers to this study", problems=problems)
    everything = (*votes, *(answer for _, _, answers in found.values() for answer in answers))
    if not everything:
        fix = f"spf-bench study serve {quoted(folder)}, or put the files that were sent back into {folder / ANSWERS}"
        raise UserError(f"nobody has answered {folder} yet", "it has no vote", fix)
    return Given(everything, tuple(notes))


def _votes(study: Study, folder: Path) -> tuple[list[Answer], list[str]]:
    if not (folder / VOTES).is_file():
        return [], []
    votes = Votes(folder / VOTES)
    try:
        rows = votes.all()
    finally:
        votes.close()
    by_number = {ballot.number: ballot for ballot in study.ballots}
    answers = [_answer(study, by_number.get(number), *rest) for number, *rest in rows]
    foreign = answers.count(None)
    notes = [f"{foreign} votes are of another study"] if foreign else []
    return [answer for answer in answers if answer], notes


def _answer(
    study: Study, ballot: Ballot | None, key: object, question: object, side: object, seconds: object
) -> Answer | None:
    item = ballot.by_key.get(key) if ballot and isinstance(key, str) else None
    asked = isinstance(question, str) and question in {q.key for q in study.questions}
    timed = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST
    if ballot is None or item is None or not asked or side not in study.choices or not timed:
        return None
    return Answer(ballot.number, item.unit, str(question), str(side), item.chosen(str(side)), float(str(seconds)))


def _files(folder: Path, sent: Iterable[Path]) -> Iterator[Path]:
    seen = set()
    for place in (folder / ANSWERS, *sent):
        if not place.exists() and place != folder / ANSWERS:
            raise UserError(
                f"there is no {place}", "it should be a file of answers, or a folder of them", "mend --answers"
            )
        for path in sorted(place.glob("*.json")) if place.is_dir() else [place] if place.is_file() else []:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _read(study: Study, path: Path) -> tuple[int, str, list[Answer]]:
    """Return whose answers a file holds, when it was saved, and the answers; ValueError says what is wrong."""
    data = _json(path)
    if data.get("study") != study.id:
        raise ValueError("is of another study")
    code = data.get("code")
    ballot = study.by_code.get(code) if isinstance(code, str) else None
    if ballot is None:
        raise ValueError(f"nobody was invited as {short(code)}")
    saved, rows = data.get("saved"), data.get("answers")
    if not isinstance(saved, str) or not isinstance(rows, list):
        raise ValueError("has no answers")
    names = ("item", "question", "choice", "seconds")
    fields = [[row.get(name) for name in names] if isinstance(row, dict) else [None] * 4 for row in rows]
    answers = [_answer(study, ballot, *one) for one in fields]
    kept = {(answer.unit, answer.question): answer for answer in answers if answer}
    if len(kept) < len(rows):
        raise ValueError(f"{len(rows) - len(kept)} of its {len(rows)} answers are not to this ballot, or given twice")
    return ballot.number, saved, list(kept.values())


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"has {path.stat().st_size:,} bytes, {LARGEST:,} is all")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError) as error:
        raise ValueError(f"cannot be read: {type(error).__name__}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is no UTF-8") from error
    if not isinstance(data, dict):
        raise ValueError("is no JSON object")
    return data
