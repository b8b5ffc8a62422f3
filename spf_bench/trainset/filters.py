"""The filters of the training set: the best matches first, then no image that people would not like."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spf_bench.trainset.plan import Plan
from spf_bench.trainset.scores import Scores
from spf_bench.trainset.sieve import Bools, Cut, Sieve

KEPT, MATCH, HPS, REWARD = "kept", "match", "hps", "image_reward"
NAMES = {MATCH: "image-text match", HPS: "HPS", REWARD: "ImageReward"}
"""The filters in their order, and what each is called in print."""


@dataclass(frozen=True)
class Rule:
    """What passes one filter: a share of the best, or what reaches a floor."""

    share: float | None = None
    """Share that passes, above 0 and at most 1, rounded up; None where there is a floor."""
    floor: float | None = None
    """Least score that passes."""

    def __str__(self) -> str:
        return f"{self.floor:g} and above" if self.share is None else f"the best {100 * self.share:g} %"


@dataclass(frozen=True)
class Rules:
    """What passes each filter; None switches a filter off."""

    match: Rule | None
    """Of all candidates."""
    hps: Rule | None
    """Of those that match."""
    image_reward: Rule | None
    """Of those that match."""
    overall: bool = False
    """Whether categories compete with each other, where otherwise each keeps its share."""

    def items(self) -> Iterator[tuple[str, Rule]]:
        """Yield the filters that are on, in order."""
        rules = {MATCH: self.match, HPS: self.hps, REWARD: self.image_reward}
        return ((name, rule) for name, rule in rules.items() if rule is not None)


class Filters:
    """Who passes which filter, read from disk a chunk at a time.

    Args:
        plan: The candidates.
        scores: The scores of each filter that is on, by name.
        rules: What passes.
    """

    def __init__(self, plan: Plan, scores: dict[str, Scores], rules: Rules) -> None:
        self.plan, self.scores, self.rules = plan, scores, rules
        self.sieves: dict[str, Sieve] = {}
        for name, rule in rules.items():
            self.sieves[name] = Sieve(
                self.everybody if name == MATCH else self.matching,
                scores[name].known, self._groups, rule.share, rule.floor,
            )  # fmt: skip

    def everybody(self) -> Iterator[Bools]:
        """Yield that all take part."""
        return (np.ones(len(codes), bool) for codes in self.plan.categories())

    def matching(self) -> Iterator[Bools]:
        """Yield who passes the match, or all where that filter is off."""
        return self.sieves[MATCH].passes() if MATCH in self.sieves else self.everybody()

    def asked(self, name: str) -> Iterator[Bools]:
        """Yield whose score a filter needs."""
        return self.everybody() if name == MATCH else self.matching()

    def reasons(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the place in ``outcomes`` of every candidate [N]: the first filter that it did not pass, or kept."""
        for passes in zip(self.everybody(), *(sieve.passes() for sieve in self.sieves.values()), strict=True):
            found = np.zeros(len(passes[0]), np.uint8)
            for place in range(len(passes) - 1, 0, -1):
                found[~passes[place]] = place
            yield found

    @property
    def outcomes(self) -> list[str]:
        """What can become of a candidate."""
        return [KEPT, *self.sieves]

    def cuts(self) -> dict[str, dict[int, Cut]]:
        """Return where each filter with a share cuts each group."""
        return {name: sieve.cuts for name, sieve in self.sieves.items()}

    def facts(self) -> dict[str, Any]:
        """Return everything that decides who is kept."""
        return {
            "overall": self.rules.overall,
            "filters": {name: [rule.share, rule.floor] for name, rule in self.rules.items()},
            "scores": {name: scores.stage.folder.name for name, scores in self.scores.items()},
        }

    def _groups(self) -> Iterator[NDArray[np.uint8]]:
        return (np.zeros_like(codes) if self.rules.overall else codes for codes in self.plan.categories())
