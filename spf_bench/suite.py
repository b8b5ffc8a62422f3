"""A suite: a base model, what to sample it with, images to train on, and the judges that go with them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spf_bench.errors import UserError, unknown
from spf_bench.picture import Picture
from spf_bench.triple import Category

if TYPE_CHECKING:
    import numpy as np


TRIAL = 8  # images: two batches of the trials' trainings
DTYPES = ("float32", "float16", "bfloat16")
"""Floating types that images are sampled in, by their names in ``torch``."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How every image of a comparison is sampled; the harness owns it, no method can change it."""

    scheduler: str
    """Deterministic sampler, a key of ``spf_bench.models.backbone.SCHEDULERS``."""
    steps: int
    """Denoising steps, at least 1."""
    guidance: float
    """Classifier-free guidance scale; 1 or less samples without guidance."""
    negative_prompt: str = ""
    """Text of the unconditional branch."""
    dtype: str = "float32"
    """Floating type of the networks, one of ``DTYPES``."""


@dataclass(frozen=True, slots=True)
class TrainSample:
    """One customisation image and its texts."""

    id: str
    """Unique within the training set."""
    source: "np.ndarray | Picture"
    """RGB [H, W, 3] uint8, or the file that it is read from."""
    base: str
    """What the image shows besides the target."""
    target: str
    """The attribute to learn."""
    category: Category
    """Which of the five kinds of attribute the target is."""

    @property
    def image(self) -> "np.ndarray":
        """RGB [H, W, 3] uint8; shows the target attribute. A file is read each time."""
        return self.source.read() if isinstance(self.source, Picture) else self.source

    @property
    def file(self) -> Path | None:
        """Where the image lies; None for one in memory."""
        return self.source.path if isinstance(self.source, Picture) else None


@dataclass(frozen=True, slots=True)
class Preset:
    """How much a method may train; the same for every method of a comparison."""

    name: str
    """What ``--preset`` calls it."""
    trainer: str
    """The preset of the trainer that goes with it, handed on unread."""
    samples: int
    """Customisation images to train on."""


class Suite(ABC):
    """What a benchmark setting consists of; a method never sees which one it runs in."""

    name: ClassVar[str]
    title: ClassVar[str]
    image_size: ClassVar[int]
    sampling: ClassVar[Sampling]
    testset: ClassVar[str]
    """Name of the test set used where none is asked for."""
    validation: ClassVar[str | None] = None
    """Name of the test set that settings may be chosen on; None where there is none."""
    one_size: ClassVar[bool] = False
    """Whether its judges read images of ``image_size`` alone."""
    judge_names: ClassVar[tuple[str, ...]]
    """Names of the networks only the metrics may use."""
    presets: ClassVar[dict[str, Preset]]
    """Training budgets by name; ``default`` is always there."""

    def preset(self, name: str) -> Preset:
        """Return a training budget by name; raises UserError where there is no such preset."""
        if name not in self.presets:
            raise unknown("preset", name, self.presets, "spf-bench run --help")
        return self.presets[name]

    def sampled_in(self, dtype: str | None) -> Self:
        """Return the suite with images sampled in another of ``DTYPES``; None is its own.

        Raises:
            UserError: It is none of them.
        """
        if dtype is None or dtype == self.sampling.dtype:
            return self
        if dtype not in DTYPES:
            raise UserError(f"images cannot be sampled in {dtype!r}", "", f"one of {', '.join(DTYPES)}")
        other = copy(self)
        vars(other)["sampling"] = replace(self.sampling, dtype=dtype)
        return other

    @property
    def trial(self) -> Preset:
        """The least training budget: enough to see that a method trains, not that it learns."""
        return replace(self.presets["default"], name="trial", samples=TRIAL)

    @property
    @abstractmethod
    def pipeline(self) -> Path:
        """The original model: a folder in diffusers' layout, or a single file."""

    @property
    @abstractmethod
    def clip(self) -> Path:
        """Folder of the CLIP a trainer may train against; where the judge is the same one, a second CLIP judges too."""

    @abstractmethod
    def judge(self, name: str) -> Path:
        """Return the folder or file of one of the judges."""

    @property
    def judges(self) -> dict[str, Path]:
        """Folders or files of all judges, by name."""
        return {name: self.judge(name) for name in self.judge_names}

    def limited_to(self, keys: Sequence[str]) -> Self:
        """Return the suite with what these of its metrics need and no more, as far as it tells; none: as it is.

        Raises:
            UserError: It has no metric of such a key.
        """
        return self

    def require(self) -> None:  # noqa: B027 (what comes with the package is there)
        """See to it that all is here that a run needs, before it begins: base model, judges and packages.

        Raises:
            UserError: Something is not; all of it is named.
        """

    @property
    def on_request(self) -> tuple[str, ...]:
        """Keys of the metrics that were asked for beside the suite's own."""
        return ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of its own metrics' judges, by name, and their precision: what scores depend on besides the images.

        Raises:
            UserError: Something that scoring needs is not here; all of it is named.
        """
        from spf_bench.files.store import folder_sha256
        from spf_bench.metrics import precision

        said = "" if precision.asked() == precision.EXACT else f" in {precision.asked()}"
        return {name: folder_sha256(folder) + said for name, folder in self.judges.items()}

    @property
    def digests_on_request(self) -> dict[str, str]:
        """SHA-256 of the judges that only metrics on request look through: they change no column of another."""
        return {}

    @abstractmethod
    def trainset(self, seed: int, n: int) -> Sequence[TrainSample]:
        """Return the first ``n`` customisation samples drawn with ``seed``; the same on every call."""

    @abstractmethod
    def trainset_facts(self, seed: int, n: int) -> dict[str, Any]:
        """Return what decides the contents of ``trainset(seed, n)``, without making it."""

    def go_together(self, phrases: Sequence[str], targets: Sequence[str]) -> bool:
        """Say whether several targets may be asked of a base text, given by its phrases, without a contradiction."""
        from spf_bench.captions.beside import go_together

        return go_together(phrases, targets)

    @abstractmethod
    def metrics(self, device: str) -> list[Any]:
        """Return the suite's metrics (``spf_bench.metrics.base``) with their networks on ``device``."""

    def lacking(self, scores: Sequence[str]) -> list[str]:
        """Return which of some scores the suite does not measure, by the names of their columns."""
        from spf_bench.metrics.plugins import columns

        measured = {column for metric in self.metrics("cpu") for column in columns(metric)}
        return [name for name in scores if name not in measured]


class WorldSuite(Suite):
    """The embedded portrait world: a 64-pixel Stable Diffusion that runs anywhere in minutes."""

    name = "world"
    title = "embedded portrait world"
    image_size = 64
    one_size = True
    sampling = Sampling(scheduler="dpmsolver++2m", steps=15, guidance=4.0)
    testset = "world-v1"
    validation = "world-val"
    judge_names = ("judge_clip", "judge", "hps", "mps")
    presets: ClassVar[dict[str, Preset]] = {
        "quick": Preset("quick", trainer="world-quick", samples=400),
        "default": Preset("default", trainer="world", samples=2400),
    }

    @property
    def trial(self) -> Preset:
        return Preset("trial", trainer="world-trial", samples=TRIAL)

    @property
    def pipeline(self) -> Path:
        return _asset("pipeline")

    @property
    def clip(self) -> Path:
        return _asset("clip")

    def judge(self, name: str) -> Path:
        return _asset(name)

    def trainset(self, seed: int, n: int) -> Sequence[TrainSample]:
        from spf_bench.world.distributions import custom
        from spf_bench.world.portrait import render

        return [
            TrainSample(
                id=f"custom-{seed}-{i:05}",
                source=render(sample.portrait, self.image_size),
                base=", ".join(sample.phrases),
                target=sample.target.phrase,
                category=sample.target.category,
            )
            for i, sample in enumerate(custom(n, seed))
            if sample.target is not None
        ]

    def trainset_facts(self, seed: int, n: int) -> dict[str, Any]:
        from spf_bench.files.store import code_sha256

        drawing = [f"spf_bench.world.{part}" for part in ("portrait", "targets", "distributions")]
        return {"distribution": "custom", "seed": seed, "n": n, "code": code_sha256(*drawing)}

    def go_together(self, phrases: Sequence[str], targets: Sequence[str]) -> bool:
        from spf_bench.world.targets import go_together

        return go_together(phrases, targets)

    def metrics(self, device: str) -> list[Any]:
        from spf_bench.metrics import for_suite

        return list(for_suite(self.name, device))


def _asset(name: str) -> Path:
    from spf_bench.world.assets import folder

    return folder(name)


def _paper() -> Suite:
    from spf_bench.suite_paper import PaperSuite

    return PaperSuite()


SUITES: dict[str, Callable[[], Suite]] = {"world": WorldSuite, "paper": _paper}


def get_suite(name: str) -> Suite:
    """Return a suite by name.

    Raises:
        UserError: Nobody knows that suite.
    """
    if name not in SUITES:
        raise unknown("suite", name, SUITES, "spf-bench run --help")
    return SUITES[name]()
