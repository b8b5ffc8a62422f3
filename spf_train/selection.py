"""Which samples are trained with: those that nothing is wrong with, if these are nearly all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import overload

from torch import Tensor, long, tensor

from spf_train.errors import ConfigErrors, Problem
from spf_train.sample import BadSample, Sample

log = logging.getLogger(__name__)
SHOWN = 50


class Selection(Sequence[Sample]):
    """The samples not yet left out; numbers are places in the selection as it is, not in all samples.

    samples: all of them; what a data set has already reported as its `problems` counts too.
    max_skipped: share of all samples in [0, 1] that may be left out.
    places: where the remaining samples stand in `samples`; problems: those left out, and why.
    """

    def __init__(self, samples: Sequence[Sample], max_skipped: float) -> None:
        self.samples, self.max_skipped = samples, max_skipped
        self.places = list(range(len(samples)))
        self.problems: list[BadSample] = list(getattr(samples, "problems", ()))
        self.total = len(samples) + len(self.problems)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return [self.samples[place] for place in self.places[index]]
        return self.samples[self.places[index]]

    def rows(self) -> Tensor:
        """The places, int64 [N]."""
        return tensor(self.places, dtype=long)

    def leave_out(self, reasons: dict[int, str]) -> None:
        """Leaves out samples, each for a reason. Raises ConfigErrors if that makes too many."""
        self.problems += [self[number].problem(what, self.places[number]) for number, what in reasons.items()]
        self.places = [place for number, place in enumerate(self.places) if number not in reasons]
        if self.places and len(self.problems) <= self.max_skipped * self.total:
            return
        shown = [Problem(problem.place, problem.what) for problem in self.problems[:SHOWN]]
        if more := len(self.problems) - len(shown):
            shown.append(Problem(f"and {more} more", ""))
        limit = f"{self.max_skipped:.1%} may be left out" if self.max_skipped else "none may be left out"
        raise ConfigErrors(f"{len(self.problems)} of {self.total} samples cannot be trained with; {limit}", shown)

    def report(self) -> None:
        """Logs what was left out, and why."""
        if self.problems:
            log.warning("%d of %d samples are left out", len(self.problems), self.total)
        for problem in self.problems:
            log.warning("left out: %s", problem)
