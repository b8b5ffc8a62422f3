"""The record of a run: what ran, on what, with which code, and what came out; plain JSON on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.environment import Environment
from spf_bench.errors import UserError
from spf_bench.files import typed
from spf_bench.files.intact import whole
from spf_bench.files.store import write_atomic, write_json, write_parquet
from spf_bench.suite import Sampling

if TYPE_CHECKING:
    from spf_bench.metrics.base import Metric, SetMetric
    from spf_bench.scoring.one_pass import Scores

RECORD, SCORES, FEATURES = "record.json", "scores.parquet", "features.safetensors"
SCHEMA = 1
WHOLE = "all"
"""The part of the scores that is all of them."""
AGAIN = "run the method again"
DIGITS = 15
"""Of a number in print, at most: a float has no more."""
CAPTIONS = "captions"
"""Folder of the triples beside a record whose test set is not among those frozen here."""
ELSEWHERE = "elsewhere"
"""Under ``facts["made"]``: where images come from that were scored and not sampled here."""


@dataclass(frozen=True)
class Score:
    """One number with what it rests on."""

    mean: float | None
    """Mean over the triples measured, or the value of a set metric; None where nothing was measured."""
    lo: float | None
    """Lower end of the 95 % interval; None where there is none."""
    hi: float | None
    """Upper end of the 95 % interval; None where there is none."""
    n: int
    """Triples measured."""
    missing: int
    """Triples that could not be measured."""
    reason: str | None
    """Why triples are missing, or why the value is to be read with care."""


@dataclass(frozen=True)
class Column:
    """What a metric is, so that a table needs nothing but records."""

    key: str
    """Name of the score in the record and in the Parquet."""
    title: str
    """Name in print."""
    group: str
    """Which columns it stands with: preservation, responsiveness, overall, world."""
    higher_is_better: bool
    """Which way is better."""
    decimals: int
    """Digits after the point in print."""
    source: str
    """Paper of the metric."""
    comparable: str
    """How far its values may be set beside published ones."""
    licence: str = ""
    """Licence of the weights behind it, in the paper's suite."""

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= DIGITS:
            raise ValueError(f"decimals are from 0 to {DIGITS}, not {self.decimals}")


@dataclass(frozen=True)
class MethodFacts:
    """Which method ran, with which settings."""

    name: str
    """What ``--method`` calls it."""
    title: str
    """Its name in a table."""
    source: str
    """The paper or page that describes it."""
    config: dict[str, Any]
    """Every setting that affects the images."""
    trains: bool
    """Whether it was trained for this run."""
    reference: bool
    """Whether its images are the originals themselves."""
    changes: list[str] = field(default_factory=list)
    """Settings that differ from the preset's because the user said so, each as ``name=value``."""


@dataclass(frozen=True)
class TestSetFacts:
    """Which triples were used."""

    name: str
    """What ``--testset`` calls it."""
    sha256: str
    """SHA-256 of its triples file."""
    size: int
    """Triples it holds."""


@dataclass(frozen=True)
class RunRecord:
    """Everything needed to read, trust and repeat a run."""

    schema: int
    """Version of this layout."""
    run: str
    """Name of the run's folder, ending in a hash of everything that affects its pixels."""
    created: str
    """When the run ended, UTC, ISO 8601; of images made elsewhere, when they were scored."""
    command: str
    """The command that makes this run again."""
    method: MethodFacts
    """Which method ran."""
    suite: str
    """Base model, training images and judges."""
    testset: TestSetFacts
    """Which triples were used."""
    n: int
    """Triples in this run; a sequence has several portraits of each."""
    limit: int | None
    """The limit asked for; None is the whole test set."""
    preset: str | None
    """Training budget; None for a method that does not train."""
    seed: int | None
    """Seed of training; None for a method that does not train."""
    sampling: Sampling
    """How the images were sampled."""
    batch: int
    """Images sampled together."""
    originals_sha256: str
    """Hash of the original portraits of these triples."""
    images_sha256: str
    """Hash of the method's images."""
    scoring: str
    """Hash of what the scores mean and of the networks' weights: equal in records that may stand in one table."""
    columns: list[Column]
    """The headline metrics in the order of a table."""
    scores: dict[str, dict[str, Score]]
    """By category (of a sequence: by step), or ``all``: every score by its key."""
    training: dict[str, dict[str, Any]]
    """By stage: steps, samples seen, trainable parameters, bytes of the checkpoint, precision, seconds, peak memory,
    folder in the cache."""
    weights: dict[str, str]
    """SHA-256 of every network's folder by name, and of the checkpoint."""
    seconds: dict[str, float]
    """Seconds per stage, over all interruptions; a stage taken from the cache tells what it once took."""
    environment: Environment
    """Code, packages, machine."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the method tells of these triples besides scores, e.g. how many it had to leave alone."""
    track: str = "triples"
    """What was asked of the method on each triple: a track of ``spf_bench.tracks``."""
    anchors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By metric: ``floor``, its mean between originals and other portraits of the same texts; ``ceiling``, between
    originals and themselves after JPEG; ``n``, originals behind each."""
    memory: dict[str, float] = field(default_factory=dict)
    """Peak memory per stage in MiB: allocated on the accelerator, on the CPU resident of the process."""
    halved: dict[str, int] = field(default_factory=dict)
    """By stage: the most images computed at once after the device's memory did not hold a batch; empty: it did."""
    scoring_code: str = ""
    """Hash of ``scoring`` and of the metrics' code: where it is today's, nothing needs to be scored again."""
    scored_in: Environment | None = None
    """Code, packages and machine of the scores, where `spf-bench rescore` computed them later than the run."""

    @property
    def dirty(self) -> bool | None:
        """Whether it was made, or scored, with uncommitted changes; None where nobody knows."""
        told = [where.dirty for where in (self.environment, self.scored_in) if where is not None]
        return True if True in told else None if None in told else False

    def save(self, folder: Path) -> None:
        """Write the record into a run's folder in one step."""
        write_json(folder / RECORD, self)

    @classmethod
    def load(cls, path: Path) -> "RunRecord":
        """Read a record file.

        Raises:
            UserError: It is not a record, or of another layout.
        """
        found = typed.load(cls, path, SCHEMA, "a run record", AGAIN)
        if WHOLE not in found.scores:
            raise UserError(f"{path} is not a run record", f"its scores are of no part called {WHOLE!r}", AGAIN)
        return found


def column_of(metric: "Metric | SetMetric") -> Column:
    """Return the facts of a metric that a record keeps."""
    return Column(**{fact.name: _plain(getattr(metric, fact.name)) for fact in fields(Column)})


def complete(folder: Path) -> bool:
    """Say whether all that a finished run leaves of its scores is there, and whole."""
    return all(whole(folder / name) for name in (RECORD, SCORES, FEATURES))


def keep(folder: Path, found: "Scores") -> None:
    """Write a run's scores, and the features that its set metrics rest on, into its folder."""
    from safetensors.torch import save_file

    write_parquet(folder / SCORES, found.table)
    write_atomic(folder / FEATURES, lambda part: save_file(found.features, part))


def recompute(folder: Path, metrics: "Sequence[Metric | SetMetric]") -> dict[str, dict[str, Score]]:
    """Return a run's scores computed anew from its Parquet and stored features alone, no image looked at."""
    import pandas as pd
    from safetensors.torch import load_file

    from spf_bench.metrics.summary import summarise
    from spf_bench.scoring.one_pass import Scores

    stored = Scores(pd.read_parquet(folder / SCORES), load_file(folder / FEATURES))
    found: dict[str, dict[str, Score]] = {}
    for line in summarise(stored, metrics):
        score = Score(line.value, line.low, line.high, line.n, line.missing, line.note)
        found.setdefault(line.category, {})[line.column] = score
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value
