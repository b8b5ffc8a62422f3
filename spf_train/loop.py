"""The training loop both stages share: single-process, resumed bit for bit, interrupted without loss."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from spf_train.checkpoint import RunFolder
from spf_train.config import StageConfig
from spf_train.data import Prepared
from spf_train.stages import Stage
from spf_train.trainer import Trainer

OnStep = Callable[[int, int, dict[str, float]], None]
Stop = Callable[[int], bool]


def fit(
    stage: Stage,
    prepared: Prepared,
    config: StageConfig,
    out: RunFolder,
    seed: int,
    on_step: OnStep | None = None,
    stop: Stop | None = None,
) -> bool:
    """Trains `stage` from the checkpoint in `out`, if there is one, to its last step; then saves the result.

    on_step: called after every step as on_step(step, total, terms), step counted from 1.
    stop: asked after every step; True saves a checkpoint and leaves early.
    Returns whether the result is complete. Ctrl-C lets the running step end, saves a checkpoint, and raises
    KeyboardInterrupt. Raises NonFiniteLossError if a loss is no number; the last good checkpoint stays.
    """
    if out.finished:
        return True
    trainer = Trainer(stage, prepared, config, seed)
    if (state := out.load_checkpoint()) is not None:
        trainer.load_state(state)
    out.cut_log(trainer.step)
    with seeded(trainer.device), interruptible() as interrupted:
        while trainer.step < trainer.total:
            terms = trainer.take_step()
            out.log({"step": trainer.step, **terms})
            stopping = (stop is not None and stop(trainer.step)) or interrupted()
            if stopping or trainer.step % config.checkpoint_every == 0 or trainer.step == trainer.total:
                out.save_checkpoint(trainer.state())
                stage.report(out.path)
            if interrupted():
                raise KeyboardInterrupt
            _report(on_step, trainer, terms, out)
            if stopping:
                return False
    with trainer.averaged():
        out.save_result(stage.save)
    out.finish(trainer.total)
    return True


def _report(on_step: OnStep | None, trainer: Trainer, terms: dict[str, float], out: RunFolder) -> None:
    """Calls on_step; where that is interrupted, the step just taken is saved first."""
    if on_step is None:
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
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C into a flag, so that no step is torn apart; a second one interrupts at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set  # only the main thread receives signals
        return

    def remember(_signal: int, _frame: FrameType | None) -> None:
        flag.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, before)
