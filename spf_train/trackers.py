"""Where a run can be watched, besides log.jsonl: TensorBoard, and Weights & Biases where it is installed."""

from __future__ import annotations

import hashlib
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spf_train.checkpoint import RunFolder
from spf_train.config import LogConfig
from spf_train.errors import ConfigError


class Tracker(ABC):
    """Shows a run's figures and pictures somewhere."""

    @abstractmethod
    def begin(self, step: int) -> None:
        """Called once, before the first step of a run (0) or of a resumed one: what came after `step` is void."""

    @abstractmethod
    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        """Figures of step `step`, from 1."""

    @abstractmethod
    def image(self, step: int, name: str, path: Path) -> None:
        """A picture that belongs to a step."""

    def flush(self) -> None:  # noqa: B027 (a hook that some trackers leave empty)
        """Writes what is still in memory."""

    @abstractmethod
    def close(self) -> None:
        """Called once, at the end, however it comes."""


class TensorBoard(Tracker):
    """Event files in the folder `path`. Raises ConfigError if tensorboard is not installed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer_class = _module("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer: Any = None

    def begin(self, step: int) -> None:
        """Opens a new event file; those there are cut after `step`."""
        self._writer = self._writer_class(str(self.path), purge_step=step + 1)

    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        """One curve for each term."""
        for name, value in terms.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, path: Path) -> None:
        """The picture, at its size."""
        with Image.open(path) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def flush(self) -> None:
        """Writes what is still in memory."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        if self._writer is not None:
            self._writer.close()


class WeightsAndBiases(Tracker):
    """A run on Weights & Biases; a resumed run goes on where it is. Raises ConfigError if wandb is not installed.

    project: as it is called there.
    out: the run's folder, which gives it its name and its id.
    """

    def __init__(self, project: str, out: RunFolder) -> None:
        self.project, self.out = project, out
        self._wandb = _module("wandb", "wandb")
        self._run: Any = None

    def begin(self, step: int) -> None:
        """Opens the run that belongs to the folder."""
        place = f"{self.out.path.resolve()} {json.dumps(self.out.identity, sort_keys=True)}"
        self._run = self._wandb.init(
            project=self.project,
            id=hashlib.sha256(place.encode()).hexdigest()[:16],
            name="/".join(self.out.path.resolve().parts[-2:]),
            config=self.out.identity,
            dir=str(self.out.path),
            resume="allow",
        )

    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        """One curve for each term; steps that are logged already are left alone there."""
        self._run.log(dict(terms), step=step)

    def image(self, step: int, name: str, path: Path) -> None:
        """The picture."""
        self._run.log({name: self._wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        """Ends the run."""
        if self._run is not None:
            self._run.finish()


def open_trackers(log: LogConfig, out: RunFolder) -> list[Tracker]:
    """The trackers that `log` asks for; none but in the main process.

    Raises ConfigError if one of them is not installed.
    """
    if not out.processes.main:
        return []
    trackers: list[Tracker] = [TensorBoard(out.path / "tensorboard")] if log.tensorboard else []
    return [*trackers, WeightsAndBiases(log.wandb, out)] if log.wandb else trackers


def _module(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fix = f"pip install {package}, or set log.{package} to {'false' if package == 'tensorboard' else 'null'}"
        raise ConfigError(f"cannot log to {package}", str(error), fix) from error
