"""Count a study: shares of votes (Fig. 8 of arXiv:2504.00396v2), Bradley-Terry strengths, agreement.

Intervals are percentile bootstraps over participants: what another such group of people would have said.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spf_bench.errors import Problem, UserError
from spf_bench.stats import interval, resamples
from spf_bench.study.answers import Answer, Given
from spf_bench.study.bradley_terry import Array, strengths
from spf_bench.study.exclude import Participant, Rules, judge
from spf_bench.study.model import EQUAL, Study

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1000
SHOWN = 10
OUTCOMES = ("a", "b", EQUAL)


@dataclass(frozen=True)
class Range:
    """A number with its 95 % interval; None where it cannot be told."""

    value: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class PairVotes:
    """Votes on two methods."""

    a: str
    b: str
    votes_a: int
    votes_b: int
    ties: int
    percent_a: Range
    """Share of all votes that went to ``a``, in percent."""


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha, nominal: 1 is perfect, 0 a coin tossed for each answer, None where all are alike."""

    alpha: Range
    units: int
    """Comparisons that several participants judged."""
    ratings: int
    """Their answers to those."""


@dataclass(frozen=True)
class Tally:
    """The outcome of a study."""

    questions: dict[str, list[PairVotes]]
    strengths: dict[str, dict[str, Range]]
    """By question and method: natural logarithm of the Bradley-Terry strength, mean 0 over the methods."""
    agreement: dict[str, Agreement]
    participants: list[Participant]
    invited: int
    notes: tuple[str, ...]

    @property
    def counted(self) -> list[Participant]:
        """Those who were not excluded."""
        return [one for one in self.participants if not one.reasons]


def tally(study: Study, given: Given, rules: Rules | None = None, draws: int = DRAWS) -> Tally:
    """Count the answers of everybody who is not excluded.

    Raises:
        UserError: Everybody is excluded, or evalica is not installed.
    """
    _needs_evalica()
    people = judge(study, given.answers, rules or Rules())
    kept = [one.number for one in people if not one.reasons]
    if not kept:
        raise _nobody(people)
    answers = [a for a in given.answers if a.participant in kept and not study.units[a.unit].unit.check]
    pairs = list(dict.fromkeys(one.unit.pair for one in study.units if not one.unit.check))
    labels = [method.label for method in study.methods]
    shares, strong, agreement = {}, {}, {}
    for question in (q.key for q in study.questions):
        mine = [answer for answer in answers if answer.question == question]
        counts = _counts(study, mine, kept, pairs)
        drawn = np.concatenate([_sum(weights, counts) for weights in resamples(len(kept), draws, study.seed)])
        shares[question] = _shares(pairs, counts.sum(0), drawn)
        strong[question] = _strengths(labels, pairs, counts.sum(0), drawn)
        agreement[question] = _agreement(mine, draws, study.seed)
    return Tally(shares, strong, agreement, people, len(study.ballots), given.notes)


def _nobody(people: Sequence[Participant]) -> UserError:
    fix = "invite more, or loosen the rules: spf-bench study tally --help"
    named = [Problem(f"participant {one.number}", ", ".join(one.reasons), "") for one in people[:SHOWN]]
    more = [Problem(f"and {len(people) - SHOWN} more", "", "")] if len(people) > SHOWN else []
    return UserError("nobody is left to count", f"{len(people)} answered, and all are excluded", fix, named + more)


def _needs_evalica() -> None:
    try:
        import evalica  # noqa: F401
    except ImportError as error:
        fix = "pip install 'spf-bench[study]'"
        raise UserError("votes are evaluated by evalica", "it is not installed", fix) from error


def _counts(study: Study, answers: Sequence[Answer], kept: Sequence[int], pairs: Sequence[tuple[str, str]]) -> Array:
    """Return votes [participants, pairs, outcomes]."""
    counts = np.zeros((len(kept), len(pairs), len(OUTCOMES)))
    people, places = ({key: i for i, key in enumerate(keys)} for keys in (kept, pairs))
    for answer in answers:
        pair = study.units[answer.unit].unit.pair
        counts[people[answer.participant], places[pair], OUTCOMES.index(answer.choice)] += 1
    return counts


def _sum(weights: Array, counts: Array) -> Array:
    return np.einsum("dp,pqo->dqo", weights, counts)


def _shares(pairs: Sequence[tuple[str, str]], totals: Array, drawn: Array) -> list[PairVotes]:
    low, high = interval(_percent(drawn))
    rows = zip(pairs, totals.astype(int).tolist(), _percent(totals), low, high, strict=True)
    return [PairVotes(*pair, first, second, ties, _range(*share)) for pair, (first, second, ties), *share in rows]


def _percent(votes: Array) -> Array:
    """Return the share of the first outcome in percent [..., pairs]; NaN without votes."""
    total = votes.sum(-1)
    return 100 * np.divide(votes[..., 0], total, out=np.full(total.shape, np.nan), where=total > 0)


def _strengths(
    labels: Sequence[str], pairs: Sequence[tuple[str, str]], totals: Array, drawn: Array
) -> dict[str, Range]:
    low, high = interval(strengths(labels, pairs, drawn))
    rows = zip(labels, strengths(labels, pairs, totals), low, high, strict=True)
    return {label: _range(*numbers) for label, *numbers in rows}


def _agreement(answers: Sequence[Answer], draws: int, seed: int) -> Agreement:
    """Return how far participants who judged the same comparison chose the same portrait."""
    import evalica

    frame = _ratings(answers)
    shared = frame.loc[:, frame.notna().sum() >= 2]
    n, values = int(shared.notna().to_numpy().sum()), np.unique(shared.to_numpy(float))
    if np.isfinite(values).sum() < 2:  # nothing was chosen in two ways: agreement cannot be told from chance
        return Agreement(Range(None, None, None), shared.shape[1], n)
    found: Any = evalica.alpha_bootstrap(shared, "nominal", n_resamples=draws, random_state=seed)
    return Agreement(_range(found.alpha, found.low, found.high), shared.shape[1], n)


def _ratings(answers: Sequence[Answer]) -> "pd.DataFrame":
    """Return answers [participants, comparisons] as numbers; NaN where there is none."""
    import pandas as pd

    rows = [(a.participant, a.unit, coded(a)) for a in answers]
    return pd.DataFrame(rows, columns=["participant", "unit", "choice"]).pivot(
        index="participant", columns="unit", values="choice"
    )


def coded(answer: Answer) -> float:
    """Return an answer as a number: the two portraits of each comparison in an order drawn for it.

    Were the first always the same method, one that always wins would make all answers equal, and agreement chance.
    """
    if answer.choice == EQUAL:
        return 2.0
    return float((answer.choice == "a") == (random.Random(answer.unit).random() < 0.5))


def _range(value: float, low: float, high: float) -> Range:
    return Range(*(float(number) if np.isfinite(number) else None for number in (value, low, high)))
