"""The contract of a method, and how methods are found: entry points, or ``path.py:Class``."""

import importlib.util
import inspect
import sys
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spf_bench.errors import UserError, unknown
from spf_bench.store import digest
from spf_bench.suite import Preset, Suite, TrainSample
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from spf_bench.artifacts import Artifacts
    from spf_bench.backbone import Backbone
    from spf_bench.progress import Progress

GROUP = "spf_bench.methods"


@dataclass(frozen=True)
class TrainJob:
    """All that a method may train with."""

    pipeline: Path
    """Folder of the original model."""
    clip: Path
    """Folder of the CLIP a method may train against."""
    suite: Suite
    """Where the customisation samples come from."""
    preset: Preset
    """The training budget."""
    seed: int
    """Seed of data and training."""
    device: str
    """Where to train, as torch names it."""
    artifacts: "Artifacts"
    """Cache of trained folders, shared by methods with a stage in common."""
    progress: "Progress"
    """Where to show how far training is."""

    @cached_property
    def samples(self) -> Sequence[TrainSample]:
        """The customisation samples; drawn when first asked for, so a finished stage costs nothing."""
        return self.suite.trainset(self.seed, self.preset.samples)


class Method:
    """A way to customise the original model.

    A method that only changes weights implements ``train`` alone, one that edits text embeddings ``embed``
    alone, one that samples in its own way ``sample``. Between ``load`` and ``unload`` the backbone is the
    method's; afterwards it must be as it was.
    """

    name: ClassVar[str]
    """What ``--method`` calls it."""
    title: ClassVar[str]
    """Its name in a table."""
    source: ClassVar[str]
    """The paper or page that describes it."""
    trains: ClassVar[bool] = False
    """Whether it makes a checkpoint before it samples."""
    reference: ClassVar[bool] = False
    """Whether its images are the original portraits themselves, taken as they are instead of sampled."""
    code: ClassVar[tuple[str, ...]] = ()
    """Modules or packages, beside the method's own file, whose code decides its pixels."""
    configurable: ClassVar[bool] = False
    """Whether its settings may be changed from outside; its ``config`` then reads ``changes``."""
    changes: tuple[str, ...] = ()
    """Settings changed from outside, each as ``name=value``."""
    scratch: Path | None = None
    """A folder lent by the harness, for what need not be computed again in other runs; None: keep it in memory."""

    def with_changes(self, changes: Sequence[str]) -> Self:
        """Return this method with some of its settings changed.

        Raises:
            UserError: It has no settings. Whether the names and values are right, ``config`` says.
        """
        if not changes:
            return self
        if not self.configurable:
            why = f"--set {changes[0]} was given, and its class does not say configurable = True"
            raise UserError(f"{self.name} has no settings to change", why, "leave --set out")
        changed = copy(self)
        changed.changes = (*self.changes, *changes)
        return changed

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return every setting that affects the images, as plain JSON types."""
        return {}

    def train(self, job: TrainJob) -> Path:
        """Return the folder of a checkpoint, training it unless it is there already.

        Raises:
            UserError: The method says it trains but does not define how.
        """
        raise UserError(
            f"{self.name} cannot be trained",
            f"{type(self).__name__} has trains = True and no train()",
            "define train(self, job) -> Path, or leave trains = False",
        )

    def load(self, backbone: "Backbone", checkpoint: Path | None) -> None:
        """Make ``backbone`` this method's; by default use the checkpoint's ``unet`` folder."""
        if checkpoint is not None:
            backbone.use_unet(checkpoint / "unet")

    def unload(self, backbone: "Backbone") -> None:
        """Leave ``backbone`` as it was before ``load``."""
        backbone.restore()

    def embed(self, backbone: "Backbone", triples: Sequence[Triple]) -> "Tensor":
        """Return the text embeddings [B, L, D] to sample with; by default those of the complete texts."""
        return backbone.encode([triple.prompt for triple in triples])

    def sample(self, backbone: "Backbone", triples: Sequence[Triple], noise: "Tensor") -> "Tensor":
        """Return RGB images [B, H, W, 3] uint8 made from the harness's ``noise`` [B, C, h, w]."""
        return backbone.render(self.embed(backbone, triples), noise)

    def facts(self, backbone: "Backbone", triples: Sequence[Triple]) -> dict[str, Any]:
        """Return what a record should tell of these triples besides scores, as plain JSON types.

        Asked without ``load``, and also where the images were made before: it must not depend on sampling them.
        """
        return {}

    @classmethod
    def file(cls) -> Path:
        """Return the file the method is written in."""
        return Path(inspect.getfile(cls))


@dataclass(frozen=True)
class Listing:
    """Which methods were found, and which could not be loaded."""

    methods: dict[str, type[Method]] = field(default_factory=dict)
    """Classes by method name."""
    broken: dict[str, str] = field(default_factory=dict)
    """Why a plug-in could not be loaded, by its entry point's name."""


def discover() -> Listing:
    """Load every installed method; a broken one is listed with its reason and stops nobody else."""
    listing = Listing()
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            listing.methods[point.name] = _checked(point.load(), point.value)
        except Exception as error:
            listing.broken[point.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return listing


def get_method(name: str) -> Method:
    """Return the method called ``name``, or the one in ``path.py:Class``.

    Raises:
        UserError: Nobody knows it, or it cannot be loaded.
    """
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        return _checked(_from_file(Path(path).resolve(), attribute), name)()
    points: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise unknown("method", name, points, "spf-bench list methods")
    try:
        return _checked(points[name].load(), points[name].value)()
    except UserError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"method {name!r} cannot be loaded", why, f"mend {points[name].value}") from error


@cache
def _from_file(path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise UserError(f"no such file: {path}", "a method outside the package is given as path.py:Class")
    name = f"spf_bench_method_{digest(str(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # holds for any existing .py file
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be imported", f"{type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise unknown(f"class in {path.name}", attribute, classes, f"{path}:Class")
    return getattr(module, attribute)


def _checked(found: Any, where: str) -> type[Method]:
    """Return ``found`` if it is a whole method class, else raise UserError saying what is missing."""
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"{where} is not a method", fix="derive the class from spf_bench.method.Method")
    missing = [name for name in ("name", "title", "source") if not hasattr(found, name)]
    missing += sorted(f"{name}()" for name in getattr(found, "__abstractmethods__", ()))
    if missing:
        raise UserError(f"{where} is not whole", f"it has no {', '.join(missing)}", "define them on the class")
    return found
