"""The training loop both stages share: by one process or many, resumed bit for bit, interrupted without loss."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from spf_train.checkpoint import RunFolder
from spf_train.config import StageConfig
from spf_train.data import Prepared
from spf_train.observers import Observers
from spf_train.stages import Stage
from spf_train.trainer import Trainer

OnStep = Callable[[int, int, dict[str, float]], None]
OnCheckpoint = Callable[[int, Path], None]
Stop = Callable[[int], bool]


def fit(
    stage: Stage,
    prepared: Prepared,
    config: StageConfig,
    out: RunFolder,
    seed: int,
    on_step: OnStep | None = None,
    stop: Stop | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    observers: Observers | None = None,
) -> bool:
    """Trains `stage` from the checkpoint in `out`, if there is one, to its last step; then saves the result.

    on_step: called after every step as on_step(step, total, terms), step counted from 1.
    stop: asked after every step; True saves a checkpoint and leaves early.
    on_checkpoint: called as on_checkpoint(step, folder) after every checkpoint, and where a run starts or resumes,
        so that none is missed; `folder` holds what the stage saves, and lives only during the call.
    observers: trackers and sample grids.
    The hooks but `stop` are the main process's alone.
    Returns whether the result is complete. Ctrl-C lets the running step end, saves a checkpoint, and raises
    KeyboardInterrupt. Raises NonFiniteLossError if a loss is no number; the last good checkpoint stays.
    """
    if out.finished:
        return True
    trainer = Trainer(stage, prepared, config, seed, out.processes)
    if (state := out.load_checkpoint()) is not None:
        trainer.load_state(state)
    out.cut_log(trainer.step)
    observers = observers or Observers()
    alone = out.processes.world == 1
    with seeded(trainer.device), interruptible(alone) as interrupted, observers.watching(trainer):
        _snapshot(on_checkpoint, trainer, out)
        while trainer.step < trainer.total:
            terms = trainer.take_step()
            out.log({"step": trainer.step, **terms})
            observers.step(trainer, terms)
            # All processes leave after the same step, whichever of them was asked to.
            stopped = out.processes.any(interrupted())
            leaving = out.processes.any(stop is not None and stop(trainer.step)) or stopped
            if leaving or trainer.step % config.checkpoint_every == 0 or trainer.step == trainer.total:
                observers.flush()
                _save(trainer, out, on_checkpoint)
            if stopped:
                raise KeyboardInterrupt
            _report(on_step, trainer, terms, out)
            observers.show(trainer)
            if leaving:
                return False
    with trainer.averaged():
        out.save_result(stage.save)
    out.finish(trainer.total)
    return True


def _save(trainer: Trainer, out: RunFolder, on_checkpoint: OnCheckpoint | None) -> None:
    """Writes the checkpoint, then calls whoever waits for one."""
    out.save_checkpoint(trainer.state())
    if out.processes.main:
        trainer.stage.report(out.path)
    _snapshot(on_checkpoint, trainer, out)


def _snapshot(on_checkpoint: OnCheckpoint | None, trainer: Trainer, out: RunFolder) -> None:
    """Calls on_checkpoint with what the run would leave if it ended here."""
    if on_checkpoint is None or not out.processes.main:
        return
    with trainer.averaged(), out.snapshot(trainer.stage.save) as folder:
        on_checkpoint(trainer.step, folder)


def _report(on_step: OnStep | None, trainer: Trainer, terms: dict[str, float], out: RunFolder) -> None:
    """Calls on_step; where that is interrupted, the step just taken is saved first."""
    if on_step is None or not out.processes.main:
        return
    try:
        on_step(trainer.step, trainer.total, terms)
    except KeyboardInterrupt:
        out.save_checkpoint(trainer.state())
        raise


@contextmanager
def seeded(device: torch.device) -> Iterator[None]:
    """Leaves the caller's random state as it was: every step seeds torch for the dropout of the model."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield


@contextmanager
def interruptible(alone: bool = True) -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C into a flag, so that no step is torn apart.

    alone: a second Ctrl-C interrupts at once. Not where a launcher passes on to its processes what they had already.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set  # only the main thread receives signals
        return

    def remember(_signal: int, _frame: FrameType | None) -> None:
        flag.set()
        if alone:
            signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, before)
