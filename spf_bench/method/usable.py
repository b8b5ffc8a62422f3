"""Which customisation samples can be trained with: the same for every method of a comparison."""

from collections.abc import Callable, Sequence
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.suite import TrainSample

SKIPPED = 0.01
"""Share of the samples that may be left out."""
SHOWN = 10


def usable(samples: Sequence[TrainSample], pipeline: Path, say: Callable[[str], None]) -> Sequence[TrainSample]:
    """Return the samples whose base and target text the text encoder reads to their end.

    Args:
        samples: All that were drawn.
        pipeline: The base model.
        say: Told which samples are left out.

    Raises:
        UserError: More than ``SKIPPED`` of them would be left out.
    """
    from spf_bench.models.text_length import overlong, shown

    texts = [f"{sample.base}, {sample.target}" for sample in samples]
    reasons = overlong(pipeline, texts)
    if not reasons:
        return samples
    kept = [sample for sample, text in zip(samples, texts, strict=True) if text not in reasons]
    left = [(sample.id, text) for sample, text in zip(samples, texts, strict=True) if text in reasons]
    what = f"{len(left)} of {len(samples)} training texts are longer than the text encoder reads"
    problems = [Problem(name, f"{reasons[text]}: {shown(text)}", "") for name, text in left[:SHOWN]]
    problems += [Problem("...", f"and {len(left) - SHOWN} more", "")] if len(left) > SHOWN else []
    if not kept or len(left) > SKIPPED * len(samples):
        raise UserError(what, f"{SKIPPED:.0%} may be left out", "shorten them, or drop their lines", problems)
    say(f"{what}; left out: {', '.join(problem.subject for problem in problems)}")
    return kept
