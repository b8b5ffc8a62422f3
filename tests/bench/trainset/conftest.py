"""A training set in miniature: toy texts, toy networks, six candidates to a chunk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.progress import Silent
from spf_bench.trainset.build import Build
from spf_bench.trainset.filters import Rule, Rules
from spf_bench.trainset.grammars import Grammar
from spf_bench.trainset.paint import Canvas
from spf_bench.trainset.sources import Network, Sources
from spf_bench.trainset.spec import Spec
from spf_bench.triple import Triple
from tests.bench.conftest import BASE, SAMPLING, TARGETS

CHUNK = 6
Specs = Callable[..., Spec]
RULES = Rules(Rule(0.5), Rule(0.8), None)
CANVAS = Canvas(SAMPLING, 4)


def draw(seed: int, chunk: int) -> list[Triple]:
    """Candidates that differ in target, category and noise."""
    found, targets = [], list(TARGETS.items())
    for i in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        target, category = targets[i % len(targets)]
        found.append(Triple(f"toy-{seed}-{i:03}", BASE, target, category, 977 * i + seed, tuple(BASE.split(", "))))
    return found


TOY = Grammar("toy", draw, ("tests.bench.trainset.conftest",), size=CHUNK)


def specify(folder: Path, pipe_dir: Path, clip_dir: Path) -> Specs:
    """Return what specifies miniature sets in a folder."""

    def make(
        to: str = "set",
        total: int = 14,
        models: tuple[Path, ...] = (pipe_dir,),
        rules: Rules = RULES,
        format: str = "imagefolder",
        captioner: Path | None = None,
        canvas: Canvas = CANVAS,
    ) -> Spec:
        judges = {name: Network("toy CLIP", clip_dir) for name, _ in rules.items()}
        writer = Network("toy captioner", captioner) if captioner else None
        sources = Sources(tuple(Network(path.name, path) for path in models), writer, judges)
        return Spec(folder / to, TOY, sources, total, 0, canvas, rules, format, "cpu")  # type: ignore[arg-type]

    return make


@pytest.fixture
def spec(tmp_path: Path, pipe_dir: Path, clip_dir: Path) -> Specs:
    """Specifies miniature sets."""
    return specify(tmp_path, pipe_dir, clip_dir)


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a set by name, but the one that says when and where it was built."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "build.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def whole(pipe_dir: Path, clip_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a set that nothing disturbed, under the name that all tests give theirs."""
    built = specify(tmp_path_factory.mktemp("undisturbed"), pipe_dir, clip_dir)()
    assert Build(built).execute(Silent()) is not None
    return files(built.to)
