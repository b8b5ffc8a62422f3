"""Which participants count: those who looked, judged by attention checks, pace, sides and how far they came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from spf_bench.study.answers import Answer
from spf_bench.study.model import EQUAL, Study

ONE_SIDE, SIDES_FROM = 0.95, 20
"""Share of answers to one side that nobody who looks gives, and from how many answers on it is looked at."""


@dataclass(frozen=True)
class Rules:
    """When a participant is excluded."""

    least_right: float = 0.75
    """Share of the answers to attention checks that must be right."""
    least_done: float = 0.5
    """Share of the ballot that must be answered."""
    least_seconds: float = 1.0
    """Median of seconds for an answer, at least."""


@dataclass(frozen=True)
class Participant:
    """How one participant answered."""

    number: int
    answered: int
    of: int
    """Questions on the ballot."""
    right: int
    """Answers to attention checks that were right."""
    checked: int
    """Answers to attention checks with a right answer."""
    seconds: float
    """Median for an answer."""
    left: float | None
    """Share of answers to the left, of those to a side."""
    reasons: tuple[str, ...]
    """Why they are excluded; empty where they count."""


def judge(study: Study, answers: Iterable[Answer], rules: Rules) -> list[Participant]:
    """Return everybody who answered anything, in the order of their numbers."""
    by: dict[int, list[Answer]] = {}
    for answer in answers:
        by.setdefault(answer.participant, []).append(answer)
    items = {ballot.number: len(ballot.items) for ballot in study.ballots}
    asked = len(study.questions)
    return [_judge(study, number, by[number], items[number] * asked, rules) for number in sorted(by)]


def _judge(study: Study, number: int, answers: Sequence[Answer], of: int, rules: Rules) -> Participant:
    telling = {question.key for question in study.questions if question.check}
    checks = [a for a in answers if study.units[a.unit].unit.check and a.question in telling]
    right = sum(a.choice == "a" for a in checks)
    sides = [a.side == "left" for a in answers if a.side != EQUAL]
    left = sum(sides) / len(sides) if sides else None
    pace = median(a.seconds for a in answers)
    reasons = []
    if checks and right < rules.least_right * len(checks):
        reasons.append(f"{right} of {len(checks)} attention checks right, {rules.least_right:.0%} needed")
    if len(answers) < rules.least_done * of:
        reasons.append(f"{len(answers)} of {of} questions answered, {rules.least_done:.0%} needed")
    if pace < rules.least_seconds:
        reasons.append(f"{pace:.1f} s for an answer, {rules.least_seconds:g} s needed")
    if left is not None and len(sides) >= SIDES_FROM and max(left, 1 - left) >= ONE_SIDE:
        reasons.append(f"{max(left, 1 - left):.0%} of answers to the {'left' if left > 0.5 else 'right'}")
    return Participant(number, len(answers), of, right, len(checks), pace, left, tuple(reasons))
