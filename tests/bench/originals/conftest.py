"""A miniature test set's originals, made once in one go: what every other way of making them must give."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.models.backbone import Backbone
from spf_bench.originals.build import Build
from spf_bench.originals.make import make_originals
from spf_bench.progress import Silent
from spf_bench.share import Share
from spf_bench.testset import TestSet
from tests.bench.conftest import SAMPLING, MiniSuite, make_triples

Pixels = dict[str, bytes]
BATCH = 2


def files(folder: Path) -> Pixels:
    """Every image below a folder of originals, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


@pytest.fixture
def planned_build(suite: MiniSuite, frozen: TestSet, tmp_path: Path) -> Callable[..., Build]:
    """Plans a build of the miniature test set into a folder."""

    def make(
        to: str = "built",
        limit: int | None = None,
        batch: int = BATCH,
        share: Share | None = None,
        precision: str | None = None,
    ) -> Build:
        how, runs = suite.sampled_in(precision), tmp_path / "runs"
        return Build(frozen, how, None, suite.pipeline, tmp_path / to, runs, limit, "cpu", batch, share or Share())

    return make


@pytest.fixture(scope="session")
def whole(pipe_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    """The images of a build that nothing disturbed."""
    folder, triples = tmp_path_factory.mktemp("undisturbed"), tuple(make_triples())
    make_originals(
        Backbone.from_folder(pipe_dir, SAMPLING), TestSet("mini", triples, "", folder), 6, folder, Silent(), BATCH
    )
    return files(folder)
