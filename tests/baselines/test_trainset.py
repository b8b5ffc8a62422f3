"""A built training set is one that the trainer and Hugging Face's ``datasets`` read."""

from pathlib import Path

import pytest

from spf_bench.progress import Silent
from spf_bench.trainset.build import Build
from spf_train.dataset import open_dataset
from tests.bench.trainset.conftest import specify


@pytest.mark.parametrize("format", ["imagefolder", "webdataset"])
def test_the_trainer_reads_it(format: str, tmp_path: Path, pipe_dir: Path, clip_dir: Path) -> None:
    spec = specify(tmp_path, pipe_dir, clip_dir)(format=format)
    figures = Build(spec).execute(Silent())
    samples = open_dataset(spec.to)
    assert figures is not None and len(samples) == figures.kept > 0 and not samples.problems
    assert samples[0].pixels(64).shape == (64, 64, 3)
    assert {sample.target for sample in samples} == {"with a beard", "wearing sunglasses", "pencil sketch style"}
    assert all(sample.base and sample.category for sample in samples)


def test_datasets_reads_it(tmp_path: Path, pipe_dir: Path, clip_dir: Path) -> None:
    datasets = pytest.importorskip("datasets")
    spec = specify(tmp_path, pipe_dir, clip_dir)()
    figures = Build(spec).execute(Silent())
    read = datasets.load_dataset("imagefolder", data_dir=str(spec.to), split="train", cache_dir=str(tmp_path / "cache"))
    assert figures is not None and len(read) == figures.kept
    assert {"image", "base", "target", "category", "match"} <= set(read.column_names)
    assert read[0]["image"].size == (64, 64)
