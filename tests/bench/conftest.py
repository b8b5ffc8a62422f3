"""A whole benchmark in miniature: a suite over toy networks, and a frozen test set of six triples."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import spf_bench.method.discovery
import spf_bench.suite
import spf_bench.testset
from spf_bench import testset
from spf_bench.method import get_method
from spf_bench.metrics.clip_encoder import ClipEncoder
from spf_bench.metrics.clip_i import ClipI
from spf_bench.metrics.clip_t import ClipT
from spf_bench.metrics.fid import FID
from spf_bench.models.backbone import Backbone
from spf_bench.run.plan import Run
from spf_bench.suite import Preset, Sampling, Suite, TrainSample
from spf_bench.triple import Category, Triple
from spf_train import config as trainer
from tests.bench.metrics.stand_ins import Colours

BASE = "a man with dark skin, short red hair"
TARGETS = {
    "with a beard": Category.facial_attributes,
    "wearing sunglasses": Category.accessories,
    "pencil sketch style": Category.image_style,
}
SAMPLING = Sampling("dpmsolver++2m", steps=3, guidance=4.0)
BASELINES = {"original": "Original", "prompt_only": "PromptOnly", "naive": "Naive", "spf": "SPF"}


def make_triples(n: int = 6) -> list[Triple]:
    """Triples that differ in target, category and noise."""
    targets = list(TARGETS.items())
    made = [(i, *targets[i % len(targets)]) for i in range(n)]
    return [Triple(f"mini-{i:04}", BASE, t, c, 100 + i, tuple(BASE.split(", "))) for i, t, c in made]


@dataclass
class MiniSuite(Suite):
    """Toy networks in the places of the world's."""

    pipe_dir: Path
    clip_dir: Path

    name: ClassVar[str] = "mini"
    title: ClassVar[str] = "miniature"
    image_size: ClassVar[int] = 64
    sampling: ClassVar[Sampling] = SAMPLING
    testset: ClassVar[str] = "mini"
    judge_names: ClassVar[tuple[str, ...]] = ("judge_clip",)
    presets: ClassVar[dict[str, Preset]] = {
        "default": Preset("default", trainer="mini", samples=4),
        "quick": Preset("quick", trainer="mini", samples=3),
    }

    @property
    def pipeline(self) -> Path:
        return self.pipe_dir

    @property
    def clip(self) -> Path:
        return self.clip_dir

    def judge(self, name: str) -> Path:
        return self.clip_dir

    def trainset(self, seed: int, n: int) -> Sequence[TrainSample]:
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
        return [TrainSample(f"s{i}", pixels[i], BASE, *list(TARGETS.items())[i % 3]) for i in range(n)]

    def trainset_facts(self, seed: int, n: int) -> dict[str, Any]:
        return {"distribution": "noise", "seed": seed, "n": n}

    def metrics(self, device: str) -> list[Any]:
        clip = ClipEncoder.from_pretrained("judge_clip", self.clip_dir, device)
        return [FID(Colours()), ClipI(clip), ClipT(clip)]


@pytest.fixture
def suite(pipe_dir: Path, clip_dir: Path, monkeypatch: pytest.MonkeyPatch) -> MiniSuite:
    """The miniature suite, known to the benchmark and to the trainer."""
    how = trainer.StageConfig(steps=3, batch=2, lr=1e-2, checkpoint_every=1)
    mini = trainer.TrainConfig(how, replace(how, trainable="cross_attention"), trainer.SPFConfig())
    monkeypatch.setitem(trainer.PRESETS, "mini", mini)
    made = MiniSuite(pipe_dir, clip_dir)
    monkeypatch.setitem(spf_bench.suite.SUITES, "mini", lambda: made)
    return made


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> testset.TestSet:
    """The miniature test set, where the benchmark looks for test sets."""
    root = tmp_path / "testsets"
    testset.save(root / "mini", make_triples(), "# mini\n")
    monkeypatch.setattr(spf_bench.testset, "ROOTS", (root,))
    return testset.load("mini")


@pytest.fixture
def backbone(pipe_dir: Path) -> Backbone:
    """The toy pipeline with three sampling steps."""
    return Backbone.from_folder(pipe_dir, SAMPLING)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The four baselines as installed methods, whatever is installed; more may be added to the dict."""
    points = {name: f"baselines.{name}:{cls}" for name, cls in BASELINES.items()}

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in points.items()]

    monkeypatch.setattr(spf_bench.method.discovery, "entry_points", entry_points)
    return points


@pytest.fixture
def planned(suite: MiniSuite, frozen: testset.TestSet, installed: dict[str, str], tmp_path: Path) -> Callable[..., Run]:
    """Plans a run of a method in the miniature benchmark."""

    def make(name: str, runs: str = "runs", limit: int | None = None, batch: int = 4, preset: str = "default") -> Run:
        budget, folder = suite.preset(preset), tmp_path / runs
        return Run(name, get_method(name), suite, frozen, limit, budget, 0, folder, "cpu", batch)

    return make


@pytest.fixture
def cli(suite: MiniSuite, frozen: testset.TestSet, installed: dict[str, str], tmp_path: Path) -> Iterator[Callable]:
    """Runs a command line in the miniature benchmark and returns click's result."""
    from spf_bench.cli.app import app

    runner = CliRunner()
    yield lambda *words: runner.invoke(app, [str(word) for word in words])


@pytest.fixture
def dead() -> Callable[[], int]:
    """Returns the number of a process that is no more."""

    def number() -> int:
        with subprocess.Popen(["true"]) as child:
            pass
        return child.pid

    return number
