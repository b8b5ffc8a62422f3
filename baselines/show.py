"""Draws the paper's Fig. 2 and 3 of one triple, from a finished run or one trained for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baselines.experiment import Experiment
from baselines.map_sheet import Line, heat, over, sheet
from baselines.maps import Moment, Texts, checkpoint_of, mean_cosine, original, read_texts, watch
from baselines.training import config_of, for_users
from spf_bench.artifacts import Artifacts
from spf_bench.backbone import Backbone
from spf_bench.errors import unknown
from spf_bench.method import Method, get_method
from spf_bench.plan import Run
from spf_bench.progress import Progress, Silent
from spf_bench.run import train
from spf_bench.testset import TestSet
from spf_bench.triple import Triple


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
        where = None if checkpoint is None else checkpoint_of(checkpoint)
        where = where or train(run, Artifacts(run.cache / "checkpoints", run.training), progress)
        assert where is not None  # SPF trains
        backbone = Backbone.from_folder(run.suite.pipeline, run.suite.sampling, run.device)
        return cls(run, triple, where, backbone)

    def texts(self) -> Texts:
        """Return the triple's phrases with gammas as in training: centred on the training set's mean."""
        from spf_train.clip import FrozenClip

        with for_users():
            clip = FrozenClip.from_pretrained(self.run.suite.clip)
        centre, tokenizer = config_of(self.run.preset, self.run.method.changes).spf.gamma_center, self._tokenizer
        if centre is None:
            return read_texts(self.triple, tokenizer, clip, 0.0)
        samples = self.run.suite.trainset(self.run.seed, self.run.preset.samples)
        pairs = [(sample.base, sample.target) for sample in samples]
        return read_texts(self.triple, tokenizer, clip, centre - mean_cosine(pairs, tokenizer, clip))

    @property
    def _tokenizer(self) -> object:
        return self.backbone.pipe.tokenizer


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
    config = config_of(scene.run.preset, scene.run.method.changes).spf
    texts, method = scene.texts(), scene.run.method
    first = original(scene.backbone, scene.triple)
    method.load(scene.backbone, scene.checkpoint)
    custom, moments = watch(method, scene.backbone, scene.triple, texts, config, contrast=True)
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
    return sheet(scene.triple.prompt, lines, to)


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
    return sheet(scene.triple.prompt, lines, to)


def _spread(moments: Sequence[Moment], steps: int) -> list[Moment]:
    """Return some moments, evenly from first to last."""
    steps = min(steps, len(moments))
    return [moments[round(i * (len(moments) - 1) / max(1, steps - 1))] for i in range(steps)]
