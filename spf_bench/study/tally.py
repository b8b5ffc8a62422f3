"""Count a study: shares of votes (Fig. 8 of arXiv:2504.00396v2), Bradley-Terry strengths, agreement.

Intervals are percentile bootstraps over participants: what another such group of people would have said.
"""

from collections.abc import Sequence

import numpy as np

from spf_bench.errors import Problem, UserError, installing
from spf_bench.stats import interval, resamples
from spf_bench.study.agreement import agreement_of
from spf_bench.study.answers import Answer, Given
from spf_bench.study.bradley_terry import Array, strengths
from spf_bench.study.exclude import Participant, Rules, judge
from spf_bench.study.model import EQUAL, Study
from spf_bench.study.outcome import PairVotes, Range, Tally

DRAWS = 1000
SHOWN = 10
OUTCOMES = ("a", "b", EQUAL)


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
        agreement[question] = agreement_of(mine, draws, study.seed)
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
        raise UserError("votes are evaluated by evalica", "it is not installed", installing("study")) from error


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
    return [PairVotes(*pair, first, second, ties, Range.of(*share)) for pair, (first, second, ties), *share in rows]


def _percent(votes: Array) -> Array:
    """Return the share of the first outcome in percent [..., pairs]; NaN without votes."""
    total = votes.sum(-1)
    return 100 * np.divide(votes[..., 0], total, out=np.full(total.shape, np.nan), where=total > 0)


def _strengths(
    labels: Sequence[str], pairs: Sequence[tuple[str, str]], totals: Array, drawn: Array
) -> dict[str, Range]:
    low, high = interval(strengths(labels, pairs, drawn))
    rows = zip(labels, strengths(labels, pairs, totals), low, high, strict=True)
    return {label: Range.of(*numbers) for label, *numbers in rows}
