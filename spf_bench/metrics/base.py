"""What a metric is: facts as class attributes, and one function from a batch or a set to numbers.

A metric never loops over a test set, reads files or picks a device; `spf_bench.scoring.one_batch` does. A score that
cannot be measured is NaN, and the metric says beforehand what its NaN means.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self

from torch import Tensor

from spf_bench.metrics.features import Encoder, Features
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from spf_bench.metrics.plugins import Tools

EMPTY: Mapping[str, str] = MappingProxyType({})


class Group(StrEnum):
    """What a metric speaks about; the table keeps its columns together by it."""

    preservation = "preservation"
    """How much of the original is left; best for a method that does nothing."""
    responsiveness = "responsiveness"
    """How much of the target has come."""
    overall = "overall"
    """How good the image is as a picture of its text."""
    world = "world"
    """Read from known attributes; only the embedded world has them."""


@dataclass(frozen=True)
class Batch:
    """Some test cases with their images; row i of everything belongs to ``triples[i]``."""

    triples: Sequence[Triple]
    original: Features
    """The original portraits R: the base text, the original model."""
    custom: Features
    """The customised portraits G: the complete text, the method."""

    @property
    def targets(self) -> list[str]:
        """The target texts."""
        return [triple.target for triple in self.triples]

    @property
    def prompts(self) -> list[str]:
        """The complete texts: base and target."""
        return [triple.prompt for triple in self.triples]

    @property
    def bases(self) -> list[str]:
        """The base texts."""
        return [triple.base for triple in self.triples]


class Facts:
    """What is true of a metric whatever the images; shown by ``spf-bench list metrics`` and the tables."""

    key: ClassVar[str]
    """Name of its column, also on disk; never changes meaning."""
    title: ClassVar[str]
    """Name in print."""
    group: ClassVar[Group]
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float | None, float | None]]
    """Least and greatest possible value; None where there is none."""
    decimals: ClassVar[int]
    """Digits after the point in print."""
    source: ClassVar[str]
    """Paper of the metric."""
    licence: ClassVar[str]
    """Licence of the weights behind it, in the paper's suite."""
    comparable: ClassVar[str]
    """How far its values may be set beside the published table."""
    anchored: ClassVar[bool] = False
    """Whether its values mean little by themselves, so that a run measures a floor and a ceiling beside them."""
    of_target: ClassVar[bool] = False
    """Whether it speaks of the target: left out where a track asks for none."""
    encoders: Sequence[Encoder] = ()
    """The networks it looks through, for the record of a run."""

    @classmethod
    def create(cls, tools: "Tools") -> Self:
        """Return the metric of a plug-in, ready for one suite; one that needs a network overrides this.

        Raises:
            UserError: The suite has not got what it needs; runs then go on without it.
        """
        return cls()


class Metric(Facts, ABC):
    """A score per pair of images."""

    secondary: ClassVar[Mapping[str, str]] = EMPTY
    """Further columns it writes beside its headline, with what they say."""
    nan_means: ClassVar[Mapping[str, str]] = EMPTY
    """Why a column can be NaN; a NaN in a column not named here is a non-finite result of the network."""

    @abstractmethod
    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return a column [B] for the headline ``key`` and for each of ``secondary``."""


@dataclass(frozen=True)
class SetScore:
    """The value of a set metric."""

    value: float
    """NaN where it cannot be measured."""
    note: str | None = None
    """Why the value is NaN or to be read with care."""


class SetMetric(Facts, ABC):
    """A score per pair of sets of images, computed from one feature vector per image."""

    @abstractmethod
    def features(self, images: Features) -> Tensor:
        """Return the feature vectors [B, D] it keeps of a batch of images."""

    @abstractmethod
    def compare(self, original: Tensor, custom: Tensor) -> SetScore:
        """Compare two sets of features [N, D], row i of both from the same test case."""


def unmeasured(original: Tensor, custom: Tensor) -> SetScore | None:
    """Return the score of features [N, D] of which one holds NaN or infinity; None where all are finite."""
    if bool(original.isfinite().all()) and bool(custom.isfinite().all()):
        return None
    return SetScore(float("nan"), "the network gave no finite features")
