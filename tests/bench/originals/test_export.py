"""Exporting: an image folder that the datasets library reads, and that can be imported again."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spf_bench import testset
from spf_bench.intake.write import import_captions
from spf_bench.originals.build import Build
from spf_bench.progress import Silent
from tests.bench.originals.conftest import files


@pytest.fixture
def exported(planned_build: Callable[..., Build], cli: Callable, tmp_path: Path) -> Path:
    """A built miniature test set, exported."""
    build = planned_build()
    build.execute(Silent())
    said = cli("testset", "export", build.to, "--to", tmp_path / "hub")
    assert said.exit_code == 0 and "6 originals" in said.output
    assert files(tmp_path / "hub" / "test") == files(build.folder)
    return tmp_path / "hub"


def test_it_comes_back_as_it_went(exported: Path, frozen: testset.TestSet, tmp_path: Path) -> None:
    import_captions(exported / "test" / "metadata.jsonl", tmp_path / "back")
    back = testset.load(str(tmp_path / "back"))
    fields = ("id", "base", "target", "category", "seed", "phrases")
    assert [[getattr(t, f) for f in fields] for t in back.triples] == [
        [getattr(t, f) for f in fields] for t in frozen.triples
    ]
    for triple in back.triples:
        theirs = Image.open(exported / "test" / f"{triple.id}.png")
        assert np.array_equal(Image.open(back.folder / str(triple.original)), theirs)


def test_the_card_says_what_the_images_are(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert (
        card.startswith("---\npretty_name: built\n") and "dpmsolver++2m, 3 steps" in card and "| clothing" not in card
    )
    first = json.loads((exported / "test" / "metadata.jsonl").read_text().splitlines()[0])
    assert first["file_name"] == "mini-0000.png" and first["prompt"].endswith("with a beard")


def test_the_datasets_library_reads_it(exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset("imagefolder", data_dir=str(exported), split="test", cache_dir=str(tmp_path / "c"))
    assert len(found) == 6 and found[2]["target"] == "pencil sketch style" and found[2]["image"].size == (64, 64)


def test_damaged_or_bare_sets_are_not_exported(
    planned_build: Callable[..., Build], cli: Callable, tmp_path: Path
) -> None:
    build = planned_build("other")
    build.execute(Silent())
    (build.folder / "mini-0001.png").unlink()
    for name, expected in ((build.to, "is damaged"), ("mini", "has no originals")):
        said = cli("testset", "export", name, "--to", tmp_path / "no")
        assert said.exit_code == 2 and expected in said.output and not (tmp_path / "no").exists()
