"""How far people agree: Krippendorff's alpha over comparisons that several of them judged."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spf_bench.study.answers import Answer
from spf_bench.study.model import EQUAL
from spf_bench.study.outcome import Agreement, Range

if TYPE_CHECKING:
    import pandas as pd


def agreement_of(answers: Sequence[Answer], draws: int, seed: int) -> Agreement:
    """Return how far participants who judged the same comparison chose the same portrait."""
    import evalica

    frame = _ratings(answers)
    shared = frame.loc[:, frame.notna().sum() >= 2]
    n, values = int(shared.notna().to_numpy().sum()), np.unique(shared.to_numpy(float))
    if np.isfinite(values).sum() < 2:  # nothing was chosen in two ways: agreement cannot be told from chance
        return Agreement(Range(None, None, None), shared.shape[1], n)
    found: Any = evalica.alpha_bootstrap(shared, "nominal", n_resamples=draws, random_state=seed)
    return Agreement(Range.of(found.alpha, found.low, found.high), shared.shape[1], n)


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
