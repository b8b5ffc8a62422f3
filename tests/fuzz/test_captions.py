"""Files of texts and images: triples, captions to score, captions to import, and the trainer's data sets."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.intake.write import import_captions
from spf_bench.scoring.captions import read_captions
from spf_train.dataset import Dataset, open_dataset
from tests.bench.conftest import make_triples
from tests.fuzz.outcome import fuzzed, outcome, writes_only_below
from tests.fuzz.strategies import as_lines, damaged, mutated, texts, values

TRIPLES = [triple.to_dict() for triple in make_triples(3)]
ROWS = [{"file_name": "a.png", "base": "a woman, red hair", "target": "smiling", "category": "clothing"}]
CSV = b'id,base,target,category,seed\na,"a woman, red hair",smiling,appearance,3\nb,"a man, bald",with a beard,,\n'
NAMES = ("triples.jsonl", "captions.jsonl", "captions.csv", "metadata.jsonl", "captions.txt")
lines = st.one_of(
    mutated(TRIPLES).map(as_lines),
    st.lists(values, max_size=3).map(as_lines),
    damaged(as_lines(TRIPLES)),
    damaged(CSV),
    texts.map(lambda text: as_lines([{**TRIPLES[0], "base": text}, {**TRIPLES[1], "target": text}])),
)


@fuzzed()
@given(raw=lines)
def test_triples(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "own").mkdir(exist_ok=True)
    (tmp_path / "own" / testset.TRIPLES).write_bytes(raw)
    testset.seal(tmp_path / "own", (testset.TRIPLES,))
    with writes_only_below(tmp_path):
        found = outcome(lambda: testset.load(str(tmp_path / "own")))
    for triple in getattr(found, "triples", ()):
        assert (tmp_path / f"{triple.id}.png").parent == tmp_path  # an id never leads anywhere
        assert testset.Triple.from_dict(json.loads(json.dumps(triple.to_dict()))) == triple


@fuzzed(15)
@given(raw=damaged(b"0" * 64 + b"  triples.jsonl\n"))
def test_checksums(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "own").mkdir(exist_ok=True)
    (tmp_path / "own" / testset.TRIPLES).write_bytes(as_lines(TRIPLES))
    (tmp_path / "own" / testset.SUMS).write_bytes(raw)
    assert isinstance(outcome(lambda: testset.load(str(tmp_path / "own"))), UserError)


@fuzzed()
@given(raw=lines, name=st.sampled_from(NAMES))
def test_captions_of_images_made_elsewhere(tmp_path: Path, raw: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with writes_only_below(tmp_path):
        found = outcome(lambda: read_captions(tmp_path / name))
    assert isinstance(found, UserError) or found


@fuzzed()
@given(raw=lines, name=st.sampled_from(NAMES), image=texts)
def test_imports_write_their_folder_or_nothing(tmp_path: Path, raw: bytes, name: str, image: str) -> None:
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / name).write_bytes(raw + b"\n" + as_lines([{**TRIPLES[0], "id": "z", "image": image}]))
    with writes_only_below(tmp_path, "in", "new"):
        found = outcome(lambda: import_captions(tmp_path / "in" / name, tmp_path / "new"))
    assert (tmp_path / "new").exists() == isinstance(found, int)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)


@pytest.fixture(scope="module")
def png() -> bytes:
    raw = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(raw, format="PNG")
    return raw.getvalue()


def _looked_at(folder: Path) -> list[Any]:
    found = outcome(lambda: open_dataset(folder))
    if not isinstance(found, Dataset):
        return []
    for sample in found:
        assert sample.base.strip() and sample.target.strip()
    return list(found)


@fuzzed()
@given(
    raw=st.one_of(
        mutated(ROWS).map(as_lines),
        damaged(as_lines(ROWS)),
        st.lists(values, max_size=3).map(as_lines),
        texts.map(lambda text: as_lines([{**ROWS[0], "file_name": text}])),
    )
)
@example(raw=as_lines([{**ROWS[0], "file_name": "../secret.png"}, {**ROWS[0], "file_name": "/etc/passwd"}]))
def test_metadata_of_training_portraits(tmp_path: Path, png: bytes, raw: bytes) -> None:
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    (data / "a.png").write_bytes(png)
    (tmp_path / "secret.png").write_bytes(png)  # which some of the texts mean
    (data / "metadata.jsonl").write_bytes(raw)
    with writes_only_below(tmp_path):
        for sample in _looked_at(data):
            assert sample.image.resolve().is_relative_to(data.resolve())


@pytest.fixture(scope="module")
def tar(png: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as file:
        for name, content in (("../a.png", png), ("../a.json", as_lines(ROWS)), ("/b.png", png), ("c.json", b"{}")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return raw.getvalue()


@fuzzed()
@given(data=st.data())
def test_tars_of_training_portraits(tmp_path: Path, tar: bytes, data: st.DataObject) -> None:
    (tmp_path / "a.tar").write_bytes(data.draw(st.one_of(st.just(tar), damaged(tar))))
    with writes_only_below(tmp_path):  # nothing is unpacked, wherever a member's name points
        for sample in _looked_at(tmp_path):
            assert sample.image.read_bytes()
