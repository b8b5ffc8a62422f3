"""Methods that train as naive fine-tuning does, on the same samples and budget, with weights or losses of their own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from spf_bench.errors import Problem, UserError
from spf_bench.files.store import read_json
from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset

if TYPE_CHECKING:
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage

SHARED = "stage1."  # of the trainer's settings; its grids and trackers see the stages of SPF alone
CODE = (
    *("spf_train", "baselines.training", "baselines.samples"),
    *("baselines.adapted", "baselines.adapted_stage", "baselines.merge"),
)
CHOSEN_BY_METHOD = ("trainable", "lora_rank", "lora_alpha")


@dataclass(frozen=True)
class Settings:
    """What a method may set besides the training it shares with naive fine-tuning."""

    lr_factor: float = 1.0
    """Its learning rate in units of naive fine-tuning's, which a method's own weights may need higher."""

    def __post_init__(self) -> None:
        from spf_train.settings import check

        check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        if self.lr_factor <= 0:
            yield "lr_factor", "it must be above 0"


S = TypeVar("S", bound=Settings)


class Adapted(Method, ABC):
    """Trains on the samples, order, batches, steps and precision of stage 1.

    A method says which settings it has and makes its stage; what the stage saves is a UNet as any other.
    """

    trains = True
    configurable = True
    own: ClassVar[type[Settings]]
    """The settings of the method."""

    def settings(self, preset: Preset) -> "tuple[StageConfig, Any]":
        """Return how the method trains, its learning rate included, and its own settings.

        Raises:
            UserError: Naming every change that names no setting, or gives it a value it cannot have.
        """
        from baselines.training import config_of

        shared = [change for change in self.changes if change.startswith(SHARED)]
        own = own_settings(self.own, [change for change in self.changes if change not in shared])
        how = config_of(preset, shared).stage1
        if how is None or any(change.startswith(f"stage1.{name}") for change in shared for name in CHOSEN_BY_METHOD):
            raise UserError(f"{self.name} trains stage 1, and its own weights", "they cannot be set", "leave it out")
        return replace(how, lr=float(f"{how.lr * own.lr_factor:.6g}")), own

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the method's own settings, and those of stage 1 with the learning rate that it trains with."""
        from spf_train.settings import to_dict

        how, own = self.settings(preset)
        stage = {name: value for name, value in to_dict(how).items() if name not in CHOSEN_BY_METHOD}
        return {**to_dict(own), "stage1": stage}

    def train(self, job: TrainJob) -> Path:
        """Return the folder of the trained UNet."""
        key = {**self.config(job.preset), "seed": job.seed}
        return job.artifacts.get(self.name, key, lambda folder: self.fit(job, folder))

    def fit(self, job: TrainJob, folder: Path) -> dict[str, Any]:
        """Train into a folder, or go on there, and return what a record says of it."""
        from baselines.samples import encodings
        from baselines.training import fit_for_record
        from spf_train.assembly import Inputs
        from spf_train.checkpoint import RunFolder
        from spf_train.loop import fit
        from spf_train.processes import Processes

        how, own = self.settings(job.preset)

        def train(samples: Sequence[Any], on_step: Any) -> Path:
            cache, processes = encodings(job, samples), Processes.current()
            inputs = Inputs(job.pipeline, samples, job.device, cache, max_skipped=0, processes=processes)
            out = RunFolder(folder, {"method": self.name, "artifact": folder.name}, inputs.processes)
            if not out.finished:
                pipe = inputs.pipeline(how)
                stage = self.stage(job, pipe, how, own)
                if how.gradient_checkpointing:
                    pipe.unet.enable_gradient_checkpointing()
                fit(stage, inputs.encoded(pipe, pipe.unet), how, out, job.seed, on_step)
            return out.path

        told = fit_for_record(job, how, self.title, train)
        facts = folder / "facts.json"
        return told | (read_json(facts) if facts.is_file() else {})

    @abstractmethod
    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: Any) -> "NaiveStage":
        """Return what the trainer trains, on the UNet of ``pipe``."""


def own_settings(kind: type[S], changes: Sequence[str]) -> S:
    """Return a method's settings with some of them changed by ``name=value`` words.

    Raises:
        UserError: Naming every word that names no setting, or gives it a value it cannot have.
    """
    from baselines.training import for_users
    from spf_train.overrides import value_of
    from spf_train.settings import from_dict

    unreadable: list[Problem] = []
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        try:
            values[name.strip()] = value_of(text)
        except ValueError as error:
            unreadable.append(Problem(change, str(error), "e.g. lr_factor=2"))
    if unreadable:
        raise UserError("settings cannot be read", problems=unreadable)
    with for_users():
        return from_dict(kind, values)
