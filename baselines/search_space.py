"""What a search may try: a YAML file of ranges and choices, and how the next trial is picked from it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import exp, log, prod
from pathlib import Path
from typing import Any, Literal

from spf_train import settings
from spf_train.errors import ConfigError
from spf_train.overrides import read_yaml

Settings = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: every `step` of them, or any; evenly by logarithm with `log`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        if self.high <= self.low:
            yield "high", f"it does not lie above low = {self.low:g}"
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            yield "step", "it lies above 0 and is no longer than the range"
        if self.log and (self.low <= 0 or self.step is not None):
            yield "log", "a logarithmic range lies above 0 and has no step"

    def values(self) -> list[Any]:
        """Every value of a stepped range; whole numbers where its ends and step are."""
        assert self.step is not None
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        found = [round(self.low + i * self.step, 12) for i in range(count)]
        whole = all(float(end).is_integer() for end in (self.low, self.step))
        return [int(value) if whole else value for value in found]

    def draw(self, rng: random.Random) -> Any:
        """One value at random."""
        if self.step is not None:
            return rng.choice(self.values())
        return exp(rng.uniform(log(self.low), log(self.high))) if self.log else rng.uniform(self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    options: tuple[Any, ...]

    def values(self) -> list[Any]:
        """All of them."""
        return list(self.options)

    def draw(self, rng: random.Random) -> Any:
        """One at random."""
        return rng.choice(self.options)


@dataclass(frozen=True)
class SearchConfig:
    """A search, as its file says it.

    name: of the file its trials are kept in.
    space: by setting: a list of values, or {low, high, step | log}.
    fixed: settings that every trial has.
    sampler: "grid" tries all combinations, "random" draws, "tpe" asks optuna's estimator.
    method, suite: what is tried, and where. testset: the suite's validation set; no other is accepted.
    preset, limit, seeds: training budget, how many of the validation triples, seeds trained per trial.
    trials: how many there shall be in all; None is the whole grid, or 20.
    """

    name: str
    space: dict  # type: ignore[type-arg]  # read into ranges and choices by `dimensions`
    fixed: dict = field(default_factory=dict)  # type: ignore[type-arg]
    sampler: Literal["grid", "random", "tpe"] = "random"
    method: str = "spf"
    suite: str = "world"
    testset: str | None = None
    preset: str = "default"
    limit: int | None = None
    seeds: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        if not self.name.replace("-", "").replace("_", "").isalnum():
            yield "name", "it becomes a file's name: letters, digits, - and _ only"
        counts = {name: getattr(self, name) for name in ("limit", "seeds", "trials")}
        yield from ((name, "it is at least 1") for name, value in counts.items() if value is not None and value < 1)
        if not self.space:
            yield "space", "it names no setting"
        if both := sorted(set(self.space) & set(self.fixed)):
            yield "fixed", f"{', '.join(both)} is in space as well"

    @property
    def total(self) -> int:
        """Trials in all."""
        grid = prod(len(d.values()) for d in dimensions(self).values()) if self.sampler == "grid" else 20
        return min(grid, self.trials or grid) if self.sampler == "grid" else self.trials or grid


def read(path: Path) -> SearchConfig:
    """Read a search from its file; its name is the file's where it gives none.

    Raises:
        ConfigError: The file cannot be read, or says something that cannot be; all of it is named.
    """
    given = read_yaml(path)
    config = settings.from_dict(SearchConfig, {"name": path.stem, "space": {}, **given})
    for name, dimension in dimensions(config).items():
        if config.sampler == "grid" and isinstance(dimension, Range) and dimension.step is None:
            raise ConfigError(f"{name} has no end of values", "a grid tries all of them", "give it a step, or a list")
    return config


def dimensions(config: SearchConfig) -> dict[str, Range | Choice]:
    """Return what each setting may be.

    Raises:
        ConfigErrors: Naming all that is wrong with a range.
        ConfigError: A setting has neither a range nor a list.
    """
    found: dict[str, Range | Choice] = {}
    for name, given in config.space.items():
        if isinstance(given, list) and given:
            found[name] = Choice(tuple(given))
        elif isinstance(given, dict) and {"low", "high"} <= given.keys():
            found[name] = settings.from_dict(Range, given)
        else:
            fix = "write a list of values, or {low: ..., high: ..., step: ...} or {low: ..., high: ..., log: true}"
            raise ConfigError(f"space.{name} is neither a list nor a range", f"it is {given}", fix)
    return found


def propose(config: SearchConfig, number: int, done: Sequence[tuple[Settings, float | None]]) -> Settings:
    """Return the settings of trial ``number``, from 0; the same for the same trials before it.

    Args:
        done: Settings and score of the trials so far; None for one that has no score.
    """
    known = dimensions(config)
    if config.sampler == "grid":
        grid = product(*(dimension.values() for dimension in known.values()))
        return dict(zip(known, next(values for i, values in enumerate(grid) if i == number), strict=True))
    if config.sampler == "tpe":
        return _ask_optuna(known, number, done)
    rng = random.Random(f"{config.name}-{number}")
    return {name: dimension.draw(rng) for name, dimension in known.items()}


def _ask_optuna(
    known: dict[str, Range | Choice], number: int, done: Sequence[tuple[Settings, float | None]]
) -> Settings:
    """Rebuild the study from the trials kept, so that it has no storage of its own that could differ from them."""
    try:
        import optuna
    except ImportError as error:
        fix = "pip install optuna, or choose sampler: random"
        raise ConfigError("the sampler tpe needs optuna", "it is not installed", fix) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: dict[str, Any] = {}
    for name, dimension in known.items():
        if isinstance(dimension, Choice):
            distributions[name] = optuna.distributions.CategoricalDistribution(dimension.options)
        elif dimension.step is not None and isinstance(dimension.values()[0], int):
            low, high, step = int(dimension.low), dimension.values()[-1], int(dimension.step)
            distributions[name] = optuna.distributions.IntDistribution(low, high, step=step)
        else:
            ends = (dimension.low, dimension.high)
            distributions[name] = optuna.distributions.FloatDistribution(*ends, log=dimension.log, step=dimension.step)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=number))
    for chosen, score in done:
        state = optuna.trial.TrialState.FAIL if score is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(optuna.create_trial(state=state, params=chosen, distributions=distributions, value=score))
    return dict(study.ask(distributions).params)
