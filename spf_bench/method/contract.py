"""The contract of a method, and what it may train with."""

import inspect
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spf_bench.errors import UserError
from spf_bench.suite import Preset, Suite, TrainSample
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from spf_bench.files.artifacts import Artifacts
    from spf_bench.models.backbone import Backbone
    from spf_bench.progress import Progress


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
        """The customisation samples that can be trained with.

        They are drawn when first asked for, so a finished stage costs nothing.

        Raises:
            UserError: Too many of them have texts that the text encoder does not read to their end.
        """
        from spf_bench.method.usable import usable

        return usable(self.suite.trainset(self.seed, self.preset.samples), self.pipeline, self.progress.note)


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
    check_with: ClassVar[tuple[str, ...]] = ()
    """Settings for ``spf-bench check``, where the method's own would search or sweep before it trains."""
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

    def preflight(self, suite: Suite, preset: Preset) -> None:
        """Refuse a training that cannot end well, before anything runs; asked once ``config`` has found no mistake.

        Raises:
            UserError: Saying what the suite lacks for it, and what to set instead.
        """

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

    def accept(self, folder: Path, suite: Suite) -> Path:
        """Return what ``load`` shall be given of a checkpoint that the user names with ``--checkpoint``.

        By default the folder itself, if it holds a UNet of the suite's base model that no other method made.

        Raises:
            UserError: It is no checkpoint of this method on this base model.
        """
        from spf_bench.run.given import accept

        return accept(self, folder, suite)

    def load(self, backbone: "Backbone", checkpoint: Path | None) -> None:
        """Make ``backbone`` this method's; by default use the checkpoint's UNet: its ``unet`` folder, or itself."""
        from spf_bench.run.given import unet_in

        if checkpoint is not None:
            backbone.use_unet(unet_in(checkpoint) or checkpoint / "unet")

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
