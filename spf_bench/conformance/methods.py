"""What every method promises; each check says what it saw, or what is wrong and what mends it."""

from typing import Any

import torch
from torch import Tensor

from spf_bench.conformance.check import Broken, Check, Skipped
from spf_bench.conformance.compare import alike, difference, plain
from spf_bench.conformance.trial import N, Trial, portraits
from spf_bench.files.store import code_sha256, digest, folder_sha256
from spf_bench.method import discover
from spf_bench.models.backbone import Backbone
from spf_bench.plugins import is_file


def declared(trial: Trial) -> str:
    """The facts on the class are whole, and the settings are plain and the same on every call."""
    method, preset = trial.method, trial.suite.trial
    if is_file(trial.address) and method.name in discover().methods:
        raise Broken(f"an installed method is called {method.name!r} too", "choose another name")
    plain(method.config(preset), "config()")
    if digest(method.config(preset)) != digest(trial.make().config(preset)):
        raise Broken("config() says something else on the second call", "a run's folder is named by it: keep it fixed")
    try:
        code_sha256(method.file(), *method.code)
    except ModuleNotFoundError as error:
        raise Broken(f"code names {error.name!r}, which is no module", "name modules that can be imported") from error
    return f"{method.title}, {method.source}"


def trained(trial: Trial) -> str:
    """A small training gives a folder, its costs, and is not done again."""
    if not trial.method.trains:
        raise Skipped("it trains nothing")
    checkpoint = trial.checkpoint
    if checkpoint is None or not checkpoint.is_dir() or not any(checkpoint.iterdir()):
        raise Broken(f"train() returned {checkpoint}", "return the folder that the checkpoint was written to")
    told = trial.artifacts.used
    if not told:
        fix = "make the folder with job.artifacts.get(name, settings, build)"
        raise Broken("every run would train again, and no record could say what it cost", fix)
    before = folder_sha256(checkpoint)
    again = trial.method.train(_job(trial))
    if again != checkpoint or folder_sha256(again) != before:
        raise Broken("train() asked again gave another checkpoint", "job.artifacts.get keeps a finished one")
    plain(told, "what train() tells")
    steps = sum(facts.get("steps", 0) for facts in told.values())
    return f"{steps} steps on {trial.suite.trial.samples} images"


def shaped(trial: Trial) -> str:
    """One image a triple, of the suite's size, as bytes."""
    images, size = trial.images, trial.suite.image_size
    if not isinstance(images, Tensor):
        raise Broken(f"sample() returned {type(images).__name__}", f"return a tensor [{N}, {size}, {size}, 3] uint8")
    if images.dtype != torch.uint8 or tuple(images.shape) != (N, size, size, 3):
        found = f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        raise Broken(f"sample() returned {found}", f"return uint8 [{N}, {size}, {size}, 3]")
    if trial.method.reference and not torch.equal(images, trial.originals):
        why = "its images are not the original portraits, which reference = True says it takes as they are"
        raise Broken(why, "leave reference = False")
    return f"{N} images of {size} x {size}"


def repeatable(trial: Trial) -> str:
    """The same triples and noise give the same bytes, whatever the global random state."""
    again = trial.sample(trial.triples, trial.noise)
    if not torch.equal(trial.images, again):
        why = f"sampled again, {difference(trial.images, again)}"
        raise Broken(why, "draw nothing at random, or from a generator of its own, seeded by triple.seed")
    return "bit for bit"


def batched(trial: Trial) -> str:
    """A batch of 4 equals 4 batches of 1."""
    single = trial.sample(trial.triples, trial.noise, parts=N)
    return alike(trial.images, single, "one by one", "treat every row by itself")


def ordered(trial: Trial) -> str:
    """Reversed triples give reversed images."""
    reverse = trial.sample(trial.triples[::-1], trial.noise.flip(0)).flip(0)
    return alike(trial.images, reverse, "in reverse order", "image i belongs to triple i and noise i")


def noisy(trial: Trial) -> str:
    """Every image comes from the harness's noise: other noise gives another image."""
    other = trial.sample(trial.triples, trial.noise.roll(1, 0))
    same = [triple.id for triple, a, b in zip(trial.triples, trial.images, other, strict=True) if torch.equal(a, b)]
    if same:
        raise Broken(f"other noise changes nothing of {', '.join(same)}", "start from the noise given to sample()")
    return "other noise, other images"


def unloaded(trial: Trial) -> str:
    """After unloading, the model makes the original portraits again bit for bit."""
    before, _ = trial.originals, trial.images  # in this order: made before and after the method was loaded
    # The backbone remembers texts it has encoded; a new one on the same networks encodes them anew.
    fresh = Backbone(trial.backbone.pipe, trial.suite.sampling, trial.device)
    for backbone in (trial.backbone, fresh):
        after = portraits(backbone, trial.triples, trial.noise)
        if not torch.equal(before, after):
            why = f"after unload() the original portraits are others: {difference(before, after)}"
            raise Broken(why, "undo in unload() whatever load() and sample() changed")
    return "the original portraits bit for bit"


def reloaded(trial: Trial) -> str:
    """A new instance on a new model, with the checkpoint at another place, makes the same images."""
    images = trial.images
    untouched = trial.backbone.render(trial.backbone.encode([t.prompt for t in trial.triples]), trial.noise)
    moved = trial.moved_checkpoint()
    again = trial.sampled(trial.make(), trial.new_backbone(), moved, trial.triples, trial.noise)
    if not torch.equal(images, again):
        why = f"loaded by a new instance, {difference(images, again)}"
        raise Broken(why, "keep in the checkpoint's folder, and read from there, all that load() needs")
    changed = sum(not torch.equal(a, b) for a, b in zip(again, untouched, strict=True))
    return f"bit for bit; {changed} of {N} images differ from the untouched model's"


def factual(trial: Trial) -> str:
    """What it tells of the triples is plain, and needs no loading."""
    told = trial.make().facts(trial.backbone, trial.triples)
    plain(told, "facts()")
    return ", ".join(told) or "none"


CHECKS: tuple[Check[Trial], ...] = (
    Check("declared", declared),
    Check("train", trained, needs=("declared",)),
    Check("count and size", shaped, needs=("train",)),
    Check("unload", unloaded, needs=("train",)),  # what stays behind would look like chance below
    Check("deterministic", repeatable, needs=("count and size", "unload")),
    Check("batch", batched, needs=("deterministic",)),
    Check("order", ordered, needs=("deterministic",)),
    Check("noise", noisy, needs=("deterministic",)),
    Check("facts", factual, needs=("declared",)),
    Check("save and load", reloaded, needs=("deterministic",)),  # last: it moves the checkpoint
)


def _job(trial: Trial) -> Any:
    from spf_bench.method import TrainJob

    run, suite = trial.run, trial.suite
    parts = (suite.pipeline, suite.clip, suite, run.preset, run.seed, run.device, trial.artifacts, trial.progress)
    return TrainJob(*parts)
