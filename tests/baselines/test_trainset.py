"""A built training set is one that the trainer and Hugging Face's ``datasets`` read."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.samples import as_sample
from spf_bench.portraits import Portraits
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


@pytest.mark.parametrize("size", [(64, 64), (100, 100), (131, 90), (64, 97), (33, 70)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_the_trainer_reads_a_portrait_as_the_suite_shows_it(size: tuple[int, int], mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.png", exif=turned)
    row = {"file_name": "a.png", "base": "a man", "target": "a hat", "category": "accessories"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row))
    shown = Portraits.open(tmp_path, 64)[0]
    assert shown.file == tmp_path / "a.png" and shown.image.shape == (64, 64, 3)
    assert np.array_equal(as_sample(shown).pixels(64), shown.image)
