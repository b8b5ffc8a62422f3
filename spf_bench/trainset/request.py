"""What was asked on the command line, as settings; everything that has no meaning is named at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from spf_bench.errors import Problem, UserError
from spf_bench.suite import DTYPES, Sampling, Suite
from spf_bench.trainset.filters import HPS, REWARD, Rule, Rules
from spf_bench.trainset.paint import Canvas

DROP = 0.2
"""Share of what matches that HPS and ImageReward drop each, where nothing is said: the paper states no threshold."""
PRECISIONS = ("float32", "bfloat16")

Limits = tuple[float | None, float | None]
"""Share to drop, and least score."""


@dataclass(frozen=True)
class Wishes:
    """How images shall be painted and read; None is the suite's way."""

    scheduler: str | None
    steps: int | None
    guidance: float | None
    negative: str | None
    dtype: str | None
    precision: str
    size: int | None
    kind: str
    batch: int


def canvas(suite: Suite, wishes: Wishes) -> Canvas:
    """Return how candidates are painted.

    Raises:
        UserError: Naming the wishes that have no meaning.
    """
    from spf_bench.models.backbone import SCHEDULERS

    own = suite.sampling
    sampling = Sampling(
        wishes.scheduler or own.scheduler,
        wishes.steps or own.steps,
        own.guidance if wishes.guidance is None else wishes.guidance,
        own.negative_prompt if wishes.negative is None else wishes.negative,
        wishes.dtype or own.dtype,
    )
    problems = list(_choices("--scheduler", sampling.scheduler, tuple(SCHEDULERS)))
    problems += [*_choices("--dtype", sampling.dtype, DTYPES), *_choices("--precision", wishes.precision, PRECISIONS)]
    if not 0 <= sampling.guidance < float("inf"):
        problems.append(Problem("--guidance", f"{sampling.guidance} is no scale", "0 or more"))
    if problems:
        raise UserError("these settings have no meaning", problems=problems)
    return Canvas(sampling, wishes.batch, wishes.kind, wishes.size)


def rules(suite: Suite, match_top: float, hps: Limits, reward: Limits, overall: bool) -> Rules:
    """Return what the filters let pass.

    Args:
        suite: Whose judges there are.
        match_top: Share that the match keeps.
        hps: What HPS drops; nothing said is ``DROP``, or nothing where the suite has no HPS.
        reward: The same of ImageReward.
        overall: Whether categories compete.

    Raises:
        UserError: Naming the limits that have no meaning.
    """
    problems = []
    if not 0 < match_top <= 1:
        problems.append(Problem("--match-top", f"{match_top} is no share", "above 0, at most 1"))
    asked = {HPS: ("--hps", hps), REWARD: ("--reward", reward)}
    for name, (option, limits) in asked.items():
        problems += _faults(suite, name, option, limits)
    if problems:
        raise UserError("these filters have no meaning", problems=problems)
    match = Rule(match_top) if match_top < 1 else None
    likes = {name: _rule(name in suite.judge_names, *limits) for name, (_, limits) in asked.items()}
    return Rules(match, likes[HPS], likes[REWARD], overall)


def _rule(available: bool, drop: float | None, least: float | None) -> Rule | None:
    if least is not None:
        return Rule(floor=least)
    drop = (DROP if available else 0.0) if drop is None else drop
    return Rule(float(1 - Fraction(str(drop)))) if drop else None


def _faults(suite: Suite, name: str, option: str, limits: Limits) -> Iterator[Problem]:
    drop, least = limits
    if drop is not None and least is not None:
        yield Problem(f"{option}-min", f"goes without {option}-drop", "give one of them")
    if drop is not None and not 0 <= drop < 1:
        yield Problem(f"{option}-drop", f"{drop} is no share", "0 or more, below 1")
    if least is not None and not abs(least) < float("inf"):
        yield Problem(f"{option}-min", f"{least} is no score", "give a number")
    if (drop or least is not None) and name not in suite.judge_names:
        yield Problem(option, f"suite {suite.name} has no {name}", "leave it out")


def _choices(option: str, value: str, known: tuple[str, ...]) -> Iterator[Problem]:
    if value not in known:
        yield Problem(option, f"{value!r} is not known", f"one of {', '.join(known)}")
