"""Originals frozen with a test set: a run of the same model and sampling samples none, any other makes its own."""

import io
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.models.backbone import Backbone
from spf_bench.originals import make
from spf_bench.originals.build import Build
from spf_bench.originals.frozen import freeze, thaw
from spf_bench.originals.verify import examine, locate
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.generate import noise
from spf_bench.run.plan import Run
from spf_bench.suite import Sampling, get_suite
from tests.bench.originals.conftest import files

Planned = Callable[..., Run]
Builds = Callable[..., Build]


@pytest.fixture
def packed(planned_build: Builds, tmp_path: Path) -> testset.TestSet:
    """The miniature test set with its originals, which lie nowhere else any more."""
    build = replace(planned_build(batch=4), to=None, runs=tmp_path / "before")
    build.execute(Silent())
    freeze(build.testset, build.folder)
    return testset.load("mini")


def test_a_run_takes_them_and_samples_none(
    packed: testset.TestSet, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("sampled"))
    run = replace(planned("original"), testset=packed)
    record = execute(run, Silent())
    (before,) = (tmp_path / "before" / "cache").glob("originals-*")
    assert files(run.originals) == files(run.images) == files(before)
    assert examine(locate(str(run.originals))).checked == 6 and examine(locate("mini")).sound
    again = execute(replace(run, runs=tmp_path / "again", limit=2), Silent())
    assert again.originals_sha256 != record.originals_sha256
    assert len(list((tmp_path / "again" / "cache").glob("originals-*/*.png"))) == 4  # a whole batch, as when sampled


def test_so_does_a_build_for_runs(
    packed: testset.TestSet, planned_build: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("sampled"))
    build = replace(planned_build(batch=4), testset=packed, to=None)
    build.execute(Silent())
    (before,) = (tmp_path / "before" / "cache").glob("originals-*")
    assert files(build.folder) == files(before)


def test_it_changes_neither_captions_nor_names_of_runs(packed: testset.TestSet, planned: Planned) -> None:
    bare = planned("prompt_only")
    run = replace(bare, testset=packed)
    assert (run.folder, run.originals, run.command) == (bare.folder, bare.originals, bare.command)
    assert packed.sha256 == bare.testset.sha256


def test_other_models_and_sampling_make_their_own(packed: testset.TestSet, planned: Planned) -> None:
    run = replace(planned("original"), testset=packed)
    for name, other in (("pipeline", "0" * 64), ("testset", "0" * 64), ("sampling", asdict(Sampling("ddim", 3, 4.0)))):
        assert thaw(packed, {**run.origin, name: other}, packed.triples, run.originals) == 0
    assert not run.originals.exists()


def test_what_is_there_is_not_written_again_and_a_gap_is_filled(packed: testset.TestSet, planned: Planned) -> None:
    run = replace(planned("original"), testset=packed)
    execute(run, Silent())
    (run.originals / "mini-0002.png").unlink()
    assert thaw(packed, run.origin, packed.triples, run.originals) == 1
    assert thaw(packed, run.origin, packed.triples, run.originals) == 0


def test_a_built_copy_leaves_them_behind(packed: testset.TestSet, planned_build: Builds) -> None:
    build = replace(planned_build(), testset=packed)
    build.execute(Silent())
    assert build.to is not None and not (build.to / "originals.parquet").exists()
    assert examine(locate(str(build.to))).sound


def test_they_are_exported_and_verified(packed: testset.TestSet, cli: Callable[..., Any], tmp_path: Path) -> None:
    (before,) = (tmp_path / "before" / "cache").glob("originals-*")
    done = cli("testset", "export", "mini", "--to", tmp_path / "out")
    assert done.exit_code == 0 and files(tmp_path / "out" / "test") == files(before)
    assert "dpmsolver++2m, 3 steps" in (tmp_path / "out" / "README.md").read_text()
    assert "the originals they were frozen with" in cli("testset", "verify", "mini").stdout


def test_a_card_written_again_keeps_them_guarded(packed: testset.TestSet) -> None:
    testset.save(packed.folder, packed.triples, "# mini, told better\n")
    path = packed.folder / "originals.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match="not as it was frozen"):
        testset.load("mini")


def test_damage_is_found_before_a_run(packed: testset.TestSet) -> None:
    path = packed.folder / "originals.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="not as it was frozen"):
        testset.load("mini")
    testset.seal(packed.folder, ["triples.jsonl", "CARD.md", "originals.parquet"])
    with pytest.raises(UserError, match=r"originals\.parquet cannot be read"):
        thaw(testset.load("mini"), {}, packed.triples, packed.folder)


def test_only_all_of_its_own_are_frozen(
    frozen: testset.TestSet, planned_build: Builds, cli: Callable[..., Any]
) -> None:
    build = replace(planned_build(batch=4, limit=2), to=None)
    build.execute(Silent())
    with pytest.raises(UserError, match="2 originals of mini are not there"):
        freeze(frozen, build.folder)
    whole = planned_build(to="built")
    whole.execute(Silent())
    with pytest.raises(UserError, match="has its originals already"):
        freeze(testset.load(str(whole.to)), whole.folder)
    with pytest.raises(UserError, match="are not the originals of mini"):
        freeze(replace(frozen, sha256="0" * 64), build.folder)
    assert testset.load("mini") == frozen
    replace(build, limit=None).execute(Silent())
    done = cli("testset", "freeze", "mini", "--originals", build.folder)
    assert done.exit_code == 0 and "6 originals" in done.stdout


def test_those_shipped_are_what_the_shipped_model_makes() -> None:
    """Within rounding: kernels of other processors, and batches of other sizes, add up in another order."""
    suite, world = get_suite("world"), testset.load("world-v1")
    backbone, triples = Backbone.from_folder(suite.pipeline, suite.sampling), world.triples[:2]
    made = backbone.render(backbone.encode([t.base for t in triples]), noise(backbone, triples)).numpy()
    table = pq.read_table(world.folder / "originals.parquet").to_pydict()
    assert table["id"] == [triple.id for triple in world.triples]
    for picture, png in zip(made, table["png"], strict=False):
        shipped = np.asarray(Image.open(io.BytesIO(png)))
        apart = np.abs(shipped.astype(int) - picture)
        assert apart.max() <= 2 and (apart > 0).mean() < 0.01
