"""Who looks on while a stage trains; nothing they do changes its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spf_train.trackers import Tracker
from spf_train.trainer import Trainer
from spf_train.validation import Validation


@dataclass(frozen=True)
class Grids:
    """Sample grids of the UNet in training, in `folder`."""

    validation: Validation
    unet: Any
    folder: Path

    def draw(self, trainer: Trainer) -> Path | None:
        """The grid of the step the trainer is at, of averaged weights where there are; None where none is due."""
        if not self.validation.due(trainer.step, trainer.total):
            return None
        with trainer.averaged(), trainer.autocast():
            return self.validation.draw(self.unet, self.folder, trainer.step)


@dataclass(frozen=True)
class Observers:
    """Trackers and sample grids of a run; both empty but in the main process."""

    trackers: Sequence[Tracker] = ()
    grids: Grids | None = None

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Context of a run: opens the trackers, draws the grid before the first step, closes the trackers."""
        try:
            for tracker in self.trackers:
                tracker.begin(trainer.step)
            self.show(trainer)
            yield
        finally:
            for tracker in self.trackers:
                tracker.close()

    def step(self, trainer: Trainer, terms: dict[str, float]) -> None:
        """Shows the terms of the step just taken."""
        for tracker in self.trackers:
            tracker.scalars(trainer.step, terms)

    def flush(self) -> None:
        """Called before a checkpoint: a run that resumes from it does not show again what came before."""
        for tracker in self.trackers:
            tracker.flush()

    def show(self, trainer: Trainer) -> None:
        """Draws and shows a grid where one is due."""
        path = None if self.grids is None else self.grids.draw(trainer)
        for tracker in self.trackers if path is not None else ():
            tracker.image(trainer.step, "samples", path)  # type: ignore[arg-type]
