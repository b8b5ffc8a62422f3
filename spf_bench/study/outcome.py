"""What a study came to: numbers with what they rest on."""

from dataclasses import dataclass
from math import isfinite

from spf_bench.study.exclude import Participant


@dataclass(frozen=True)
class Range:
    """A number with its 95 % interval; None where it cannot be told."""

    value: float | None
    lo: float | None
    hi: float | None

    @classmethod
    def of(cls, value: float, low: float, high: float) -> "Range":
        """Return three numbers as a range, what is not finite as None."""
        return cls(*(float(number) if isfinite(number) else None for number in (value, low, high)))


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
