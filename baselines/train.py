"""Trains a method outside a benchmark run: which settings, which model, which data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.training import for_users
from spf_bench.errors import UserError, unknown
from spf_bench.progress import Progress, Task
from spf_bench.suite import Suite
from spf_train.config import TrainConfig
from spf_train.overrides import resolve

if TYPE_CHECKING:
    from baselines.trace import Trace
    from spf_train.sample import Sample

METHODS = ("spf", "naive")
CLIP = "openai/clip-vit-large-patch14"
"""The CLIP of stage 2 for Stable Diffusion 1.5, whose text encoder is this one's."""


@dataclass(frozen=True)
class Sources:
    """What is trained on what."""

    base_model: str | Path
    """The original model: a folder, a Hub id or a .safetensors file."""
    clip: str | Path
    """The CLIP of stage 2: a folder or a Hub id."""
    data: "Path | Sequence[Sample]"
    """Samples, or the folder that holds them."""


def settings(
    suite: Suite,
    method: str,
    preset: str,
    file: Path | None,
    words: Sequence[str],
    seed: int | None = None,
    checkpoint_every: int | None = None,
) -> TrainConfig:
    """Return the settings of a training: a preset of the trainer or suite, a YAML file over it, words over that.

    Raises:
        UserError: No such method or preset, or naming every setting that is wrong.
    """
    if method not in METHODS:
        raise unknown("method to train", method, METHODS, "spf-bench train --help")
    with for_users():
        config = resolve(suite.presets[preset].trainer if preset in suite.presets else preset, file, words)
    config = config if seed is None else replace(config, seed=seed)
    config = replace(config, stage2=None) if method == "naive" else config
    if checkpoint_every is not None:
        stages = (config.stage1, config.stage2)
        stage1, stage2 = (how and replace(how, checkpoint_every=checkpoint_every) for how in stages)
        config = replace(config, stage1=stage1, stage2=stage2)
    if config.stage1 is None and config.stage2 is None:
        raise UserError("there is nothing to train", f"{method} has no stage left", "leave one of its stages")
    return config


def sources(
    suite: Suite, config: TrainConfig, preset: str, data: Path | None, base_model: str | None, clip: str | None
) -> Sources:
    """Return the user's data and base model, or the suite's own where neither is given.

    Raises:
        UserError: One is given without the other.
    """
    if (data is None) != (base_model is None):
        given, lacking = ("--data", "--base-model") if base_model is None else ("--base-model", "--data")
        why = f"{given} was given: your portraits train your model, the world's train the world's"
        raise UserError(f"{lacking} is missing", why, f"give {lacking} too, or neither")
    if data is not None and base_model is not None:
        return Sources(base_model, clip or CLIP, data)
    from baselines.samples import as_sample

    budgets = [p for name, p in suite.presets.items() if preset in (name, p.trainer)] or [suite.presets["default"]]
    drawn = suite.trainset(config.seed, budgets[0].samples)
    return Sources(suite.pipeline, clip or suite.clip, [as_sample(sample) for sample in drawn])


def first(sources: Sources, limit: int | None) -> Sources:
    """Return the sources with only the first samples.

    Raises:
        UserError: The data cannot be opened.
    """
    if limit is None:
        return sources
    if not isinstance(sources.data, Path):
        return replace(sources, data=sources.data[:limit])
    from spf_train.dataset import open_dataset

    with for_users():
        return replace(sources, data=open_dataset(sources.data)[:limit])


def tracer(suite: Suite, sources: Sources, folder: Path, limit: int, device: str | None, progress: Progress) -> "Trace":
    """Return what samples and scores the training's checkpoints on the suite's validation triples.

    Raises:
        UserError: The suite has none, or the model in training is not the suite's: its judges know other portraits.
    """
    from baselines.spf import SPF
    from baselines.trace import Trace
    from spf_bench.environment import pick_device
    from spf_bench.testset import load
    from spf_bench.weights.base import base_path

    if suite.validation is None or base_path(str(sources.base_model)) != suite.pipeline:
        why = f"suite {suite.name} has validation triples and judges for its own model alone"
        fix = "leave --trace out, or --data and --base-model; for a Stable Diffusion 1.x give --suite paper"
        raise UserError("this training cannot be traced", why, fix)
    triples = load(suite.validation)
    triples.head(limit)
    _ = suite.judges  # what is missing of them is said before anything trains
    return Trace(folder, suite, triples, limit, pick_device(device), SPF(), progress)


class Report:
    """Shows a training's progress: a bar for every stage and every kind of encoding, with the loss."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._tasks: dict[str, Task] = {}

    def __call__(self, what: str, done: int, total: int, terms: Mapping[str, float]) -> None:
        """Show that ``done`` of ``total`` units of ``what`` are done."""
        if what not in self._tasks:
            self._tasks[what] = self.progress.task(what, total)
        self._tasks[what].update(done, f"loss {terms['loss']:.3f}" if "loss" in terms else "")
