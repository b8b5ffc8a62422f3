"""Draws the paper's Fig. 2 and 3 of one triple, from a finished run or one trained for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.checkpoint import accepted
from baselines.experiment import Experiment
from baselines.map_sheet import Line, heat, over, sheet
from baselines.maps import Moment, Texts, mean_cosine, original, read_texts, watch
from baselines.training import config_of, for_users
from spf_bench import overlays
from spf_bench.errors import unknown
from spf_bench.files.artifacts import Artifacts
from spf_bench.method import Method, get_method
from spf_bench.method.usable import usable
from spf_bench.models.backbone import Backbone
from spf_bench.progress import Progress, Silent
from spf_bench.run.execute import train
from spf_bench.run.given import content_sha256
from spf_bench.run.plan import Run
from spf_bench.testset import TestSet
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from spf_train.clip import FrozenClip


@dataclass(frozen=True)
class Scene:
    """Everything that a picture of one triple needs."""

    run: Run
    """The run of SPF that is looked at."""
    triple: Triple
    """The test case."""
    checkpoint: Path
    """Folder of its trained weights."""
    backbone: Backbone
    """The original model."""

    @classmethod
    def of(cls, experiment: Experiment, name: str, seed: int, checkpoint: Path | None, progress: Progress) -> "Scene":
        """Return the scene of a triple by its id; SPF is trained where no checkpoint is given and none is cached.

        Raises:
            UserError: The test set has no such triple.
        """
        triple, run = find(experiment.testset, name), experiment.run("spf", (), seed)
        where = None if checkpoint is None else accepted(run.method, checkpoint, run.suite)
        where = where or train(run, Artifacts(run.cache / "checkpoints", run.training), progress)
        assert where is not None  # SPF trains
        backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
        return cls(run, triple, where, backbone)

    def texts(self) -> Texts:
        """Return the triple's phrases with gammas as in training: centred on the training set's mean."""
        tokenizer: Any = self.backbone.pipe.tokenizer
        clip, shift = reader(self.run, tokenizer)
        return read_texts(self.triple, tokenizer, clip, shift)


def reader(run: Run, tokenizer: Any) -> "tuple[FrozenClip, float]":
    """Return the CLIP that a run's gammas come from, and what training added to its cosines."""
    from spf_train.clip import FrozenClip

    with for_users():
        clip = FrozenClip.from_pretrained(run.suite.clip)
    centre = config_of(run.preset, run.method.changes).spf.gamma_center
    if centre is None:
        return clip, 0.0
    samples = usable(run.suite.trainset(run.seed, run.preset.samples), run.suite.pipeline, lambda text: None)
    return clip, centre - mean_cosine([(sample.base, sample.target) for sample in samples], tokenizer, clip)


def find(testset: TestSet, name: str) -> Triple:
    """Return a triple by its id, its number from 1 also being one; raises UserError where there is none."""
    triples = {triple.id: triple for triple in testset.triples}
    if name.isdigit() and 1 <= int(name) <= len(testset.triples):
        return testset.triples[int(name) - 1]
    if name not in triples:
        raise unknown(f"triple of {testset.name}", name, triples, f"a number from 1 to {len(triples)} works too")
    return triples[name]


def stage1_of(scene: Scene, checkpoint: Path | None) -> Path | None:
    """Return the folder of the stage 1 that SPF started from; None where there was none."""
    if checkpoint is not None:
        return checkpoint / "stage1" if (checkpoint / "stage1" / "unet").is_dir() else None
    if config_of(scene.run.preset, scene.run.method.changes).stage1 is None:
        return None
    run = replace(scene.run, method=scene.run.method.with_changes(["stage2=null"]))
    return train(run, Artifacts(run.cache / "checkpoints", run.training), Silent())


def draw_sfcm(scene: Scene, steps: int, to: Path) -> Path:
    """Draw original and customised portrait, and M, A_i with gamma_i, and M̂ at some timesteps (Fig. 3)."""
    return _drawn(scene, "sfcm", sfcm_lines(scene, scene.texts(), steps), to)


def sfcm_lines(scene: Scene, texts: Texts, steps: int) -> list[Line]:
    """Return original and customised portrait, and M, A_i with gamma_i, and M̂ at some timesteps, a line each."""
    config = config_of(scene.run.preset, scene.run.method.changes).spf
    method = scene.run.method
    first = original(scene.backbone, scene.triple)
    try:
        method.load(scene.backbone, scene.checkpoint)
        custom, moments = watch(method, scene.backbone, scene.triple, texts, config, contrast=True)
    finally:
        method.unload(scene.backbone)
    chosen = _spread(moments, steps)
    lines = [
        Line("portraits of the same noise", [first, custom], ("original", "customised")),
        Line("soft map M", [heat(m.soft) for m in chosen if m.soft is not None], [f"t = {m.t}" for m in chosen]),
    ]
    for number, (phrase, gamma) in enumerate(zip(texts.phrases, texts.gamma[0].tolist(), strict=True)):
        maps = [m.phrases[number] for m in chosen if m.phrases is not None]
        brightest = max(float(values.max()) for values in maps) or 1.0  # one scale for all timesteps
        lines.append(Line(f"A: {phrase} (gamma {gamma:.2f})", [heat(values / brightest) for values in maps]))
    released = [m.released for m in chosen if m.released is not None]
    lines.append(Line("refined map: what is released", [heat(values) for values in released]))
    lines.append(Line("the same over the customised portrait", [over(values, custom) for values in released]))
    return lines


def draw_attention(scene: Scene, stage1: Path | None, steps: int, to: Path) -> Path:
    """Draw where original model, stage 1 and SPF look for the target text at some timesteps (Fig. 2)."""
    config = config_of(scene.run.preset, scene.run.method.changes).spf
    texts, backbone = scene.texts(), scene.backbone
    models: list[tuple[str, Method, Path | None]] = [("original model", get_method("prompt_only"), None)]
    models += [("naive fine-tuning", get_method("naive"), stage1)] if stage1 is not None else []
    models += [(scene.run.method.title, scene.run.method, scene.checkpoint)]
    lines = list[Line]()
    for title, method, checkpoint in models:
        method.load(backbone, checkpoint)
        portrait, moments = watch(method, backbone, scene.triple, texts, config, contrast=False)
        method.unload(backbone)
        chosen = _spread(moments, steps)
        heads = () if lines else ("portrait", *(f"t = {m.t}" for m in chosen))
        cells = [portrait, *(over(m.target, portrait) for m in chosen)]
        lines.append(Line(f"{title}: {scene.triple.target}", cells, heads))
    return _drawn(scene, "attention", lines, to)


def _drawn(scene: Scene, kind: str, lines: Sequence[Line], to: Path) -> Path:
    """Write a grid as a picture, and beside the runs it was drawn from, where report and figures look for it."""
    overlays.keep(grid(scene, kind, lines), scene.run.runs / scene.run.testset.name, content_sha256(scene.checkpoint))
    return sheet(scene.triple.prompt, lines, to)


def grid(scene: Scene, kind: str, lines: Sequence[Line]) -> overlays.Grid:
    """Return lines as the report, the figures and the demo show them."""
    strips = [overlays.Strip(line.label, line.cells, line.heads) for line in lines]
    return overlays.Grid(scene.triple.id, kind, scene.triple.prompt, strips)


def _spread(moments: Sequence[Moment], steps: int) -> list[Moment]:
    """Return some moments, evenly from first to last."""
    steps = min(steps, len(moments))
    return [moments[round(i * (len(moments) - 1) / max(1, steps - 1))] for i in range(steps)]
