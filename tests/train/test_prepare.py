"""Encodings kept on disk are those made in memory, made once, by any number of processes, whatever is killed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from spf_train.clip import FrozenClip
from spf_train.data import Prepared
from spf_train.dataset import Dataset, open_dataset
from spf_train.encoders import ClipImageEncoder, LatentEncoder, PromptEncoder
from spf_train.errors import ConfigError
from spf_train.identity import module_digest, samples_digest, tokenizer_digest, weights_digest
from spf_train.prepare import prepare
from spf_train.sample import Sample
from spf_train.shards import MappedRows, key_of
from spf_train.train import load_pipeline
from tests.tiny import CONTEXT, tiny_tokenizer, tiny_vae
from tests.train.conftest import TARGETS, draw
from tests.train.test_dataset import row, write_folder

BASES = ("a man with dark skin, smiling", "a woman with a guitar, orange background, frowning", "a man")


class Killed(Exception):
    """Stands for a process that died."""


@pytest.fixture(scope="module")
def pipe(pipe_dir: Path) -> Any:
    return load_pipeline(pipe_dir, "cpu")


@pytest.fixture(scope="module")
def clip(clip_dir: Path) -> FrozenClip:
    return FrozenClip.from_pretrained(clip_dir)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of ten portraits."""
    rng, path = np.random.default_rng(0), tmp_path / "data"
    lines = [row(f"{i}.png", base=BASES[i % 3], target=TARGETS[i % 4]) for i in range(10)]
    write_folder(path, lines)
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (64, 72, 3), dtype=np.uint8)).save(path / f"{i}.png")
    return path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spf_train.store.SHARD", 4)
    for encoder in (LatentEncoder, ClipImageEncoder, PromptEncoder):
        monkeypatch.setattr(encoder, "batch", 2)


def assert_same(a: Prepared, b: Prepared, exactly: bool = True) -> None:
    """Also to the last bit, except where other samples were encoded beside the same ones."""
    assert len(a) == len(b) and a.mean_cosine == pytest.approx(b.mean_cosine, abs=0 if exactly else 1e-5)
    one, other = draw(a, len(a), dropout=0.3), draw(b, len(b), dropout=0.3)
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(left, right) if exactly else torch.allclose(left, right, atol=1e-4), field.name


def files(cache: Path) -> dict[str, int]:
    return {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing may be encoded."""
    for encoder in (LatentEncoder, ClipImageEncoder, PromptEncoder):
        monkeypatch.setattr(encoder, "compute", raising(AssertionError("it encoded again")))


def raising(error: Exception) -> Callable[..., Any]:
    def compute(self: Any, items: Sequence[Any]) -> Any:
        raise error

    return compute


def test_cached_encodings_are_those_in_memory(
    folder: Path, pipe: Any, clip: FrozenClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, cache = open_dataset(folder), tmp_path / "cache"
    memory = prepare(samples, pipe, clip, target_states=True)
    first = prepare(samples, pipe, clip, cache, target_states=True)
    assert isinstance(first.latent_mean, MappedRows) and first.texts.encode is None
    assert_same(memory, first)
    written = files(cache)
    forbid(monkeypatch)
    assert_same(memory, prepare(samples, pipe, clip, cache, target_states=True))
    assert_same(prepare(samples, pipe, cache=cache), prepare(samples, pipe, cache=cache))
    assert files(cache) == written
    assert not list(cache.rglob(".*"))


def test_target_states_are_the_target_texts_alone(pipe: Any, samples: list[Sample]) -> None:
    batch = draw(prepare(samples, pipe, target_states=True), dropout=0.5, size=12)
    alone, empty = pipe.encode_prompt(samples[1].target, "cpu", 1, True, negative_prompt="")
    assert 0 < batch.dropped.sum() < 12
    for index in range(12):
        if batch.dropped[index]:
            torch.testing.assert_close(batch.target[index], empty[0])
    kept = [i for i in (1, 4, 7, 10) if not batch.dropped[i]]
    assert kept
    torch.testing.assert_close(batch.target[kept[0]], alone[0])
    assert draw(prepare(samples, pipe)).target.shape == (4, 0, 0)


@pytest.mark.usefixtures("small_shards")
def test_a_killed_run_goes_on_to_the_same_encodings(
    folder: Path, pipe: Any, clip: FrozenClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = open_dataset(folder)
    straight = prepare(samples, pipe, clip, tmp_path / "straight")
    compute, batches = LatentEncoder.compute, []

    def dying(self: LatentEncoder, items: Sequence[Any]) -> Any:
        batches.append(len(items))
        if len(batches) == 4:  # the second half of the second shard
            raise Killed
        return compute(self, items)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(LatentEncoder, "compute", dying)
        prepare(samples, pipe, clip, tmp_path / "resumed")
    kept = files(tmp_path / "resumed")
    assert sum(name.startswith("latents") for name in kept) == 1
    assert_same(straight, prepare(samples, pipe, clip, tmp_path / "resumed"))
    after = files(tmp_path / "resumed")
    assert kept.items() <= after.items() and after.keys() == files(tmp_path / "straight").keys()


@pytest.mark.usefixtures("small_shards")
def test_processes_share_the_work(folder: Path, pipe: Any, clip: FrozenClip, tmp_path: Path) -> None:
    samples, barrier, lock = open_dataset(folder), threading.Barrier(2, timeout=120), threading.Lock()
    made: list[Prepared | None] = [None, None]
    digests = ["", ""]
    done: list[tuple[int, str, int]] = []
    own = [deepcopy((pipe, clip)) for _ in range(2)]  # a tokenizer serves one thread alone

    def process(rank: int) -> None:
        def progress(name: str, count: int, total: int) -> None:
            with lock:
                done.append((rank, name, count))

        digests[rank] = samples_digest(samples, tmp_path / "two", rank, 2, barrier.wait)
        made[rank] = prepare(samples, *own[rank], tmp_path / "two", rank, 2, barrier.wait, progress=progress)

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = prepare(samples, pipe, clip, tmp_path / "one")
    assert made[0] is not None and made[1] is not None
    assert_same(made[0], alone)
    assert_same(made[1], alone)
    assert files(tmp_path / "one").keys() == files(tmp_path / "two").keys()
    assert max(count for rank, name, count in done if (rank, name) == (0, "latents")) == 6
    assert max(count for rank, name, count in done if (rank, name) == (1, "latents")) == 4
    assert digests[0] == digests[1] == samples_digest(samples)


@pytest.mark.parametrize("cached", [True, False])
def test_unusable_samples_are_named_and_left_out(
    folder: Path, pipe: Any, clip: FrozenClip, tmp_path: Path, cached: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:4000])
    (folder / "3.png").write_bytes(b"no image")
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    lines[5] = json.dumps(row("5.png", base="a man, " * 12 + "smiling, frowning"))
    lines[7] = json.dumps(row("7.png", target=""))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    samples, cache = open_dataset(folder), tmp_path / "cache" if cached else None
    for _ in range(2):  # the second time what is whole is known from the cache
        prepared = prepare(samples, pipe, clip, cache, max_skipped=0.4)
        problems = sorted(map(str, prepared.problems))
        assert [problem.split(":")[1] for problem in problems] == ["3", "4", "6", "8"]
        assert "the image is broken" in problems[0] and "this is no image" in problems[1]
        assert "'frowning, smiling' would be cut off" in problems[2] and f"where {CONTEXT} fit" in problems[2]
        assert problems[3].endswith("there is no target text")
        assert len(prepared) == 6 and "left out: metadata.jsonl:3" in caplog.text
    whole = [sample for sample in samples if sample.line in (1, 2, 5, 7, 9, 10)]
    assert_same(prepared, prepare(whole, pipe, clip), exactly=False)
    with pytest.raises(ConfigError, match=r"(?s)4 of 10 samples.*30\.0% may.*json.*:6  base.*:3  the image") as caught:
        prepare(samples, pipe, clip, cache, max_skipped=0.3)
    assert "metadata.jsonl:8  there is no target text" in str(caught.value)
    with pytest.raises(ConfigError, match="none may be left out"):
        prepare(samples, pipe, max_skipped=0.0)


def test_a_broken_image_is_tried_again(
    folder: Path, pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may be whole: another Pillow reads it, or the machine was at fault."""
    samples, cache, pixels = open_dataset(folder), tmp_path / "cache", Sample.pixels

    def failing(error: Exception) -> Callable[[Sample, int], Any]:
        return lambda self, size: raising(error)(self, []) if self.line == 3 else pixels(self, size)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Sample, "pixels", failing(MemoryError()))
        prepare(samples, pipe, cache=cache, max_skipped=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Sample, "pixels", failing(ValueError("unknown format")))
        left = prepare(samples, pipe, cache=cache, max_skipped=0.1)
    assert len(left) == 9 and "unknown format" in str(left.problems)
    assert_same(prepare(samples, pipe, cache=cache), prepare(samples, pipe), exactly=False)


def test_nothing_is_left(folder: Path, pipe: Any) -> None:
    for image in folder.glob("*.png"):
        image.write_bytes(b"")
    with pytest.raises(ConfigError, match="10 of 10 samples"):
        prepare(open_dataset(folder), pipe, max_skipped=1.0)


@pytest.mark.parametrize("cached", [True, False])
def test_a_file_that_cannot_be_read_is_no_broken_image(folder: Path, pipe: Any, tmp_path: Path, cached: bool) -> None:
    samples = open_dataset(folder)
    (folder / "4.png").unlink()
    with pytest.raises(ConfigError, match=r"metadata\.jsonl:5  the image cannot be read" if cached else r"4\.png"):
        prepare(samples, pipe, cache=tmp_path / "cache" if cached else None)
    if cached:
        Image.new("RGB", (64, 64)).save(folder / "4.png")
        assert len(prepare(samples, pipe, cache=tmp_path / "cache")) == 10


def test_changed_samples_alone_are_encoded_again(
    folder: Path, pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, seen = tmp_path / "cache", []
    prepare(open_dataset(folder), pipe, cache=cache)
    compute = LatentEncoder.compute
    monkeypatch.setattr(
        LatentEncoder, "compute", lambda self, items: (seen.append(len(items)), compute(self, items))[1]
    )
    Image.new("RGB", (64, 64), "red").save(folder / "4.png")
    (folder / "6.png").rename(folder / "8.png")  # another file's content, known already
    (folder / "6.png").write_bytes((folder / "7.png").read_bytes())
    prepared = prepare(open_dataset(folder), pipe, cache=cache)
    assert seen == [1]
    assert_same(prepared, prepare(open_dataset(folder), pipe), exactly=False)


def test_other_networks_have_other_encodings(folder: Path, pipe: Any, pipe_dir: Path, tmp_path: Path) -> None:
    samples, cache = open_dataset(folder), tmp_path / "cache"
    prepare(samples, pipe, cache=cache)
    other = load_pipeline(pipe_dir, "cpu")
    other.vae = tiny_vae(seed=3)
    changed = prepare(samples, other, cache=cache)
    assert_same(changed, prepare(samples, other))
    kinds = sorted(path.name.rpartition("-")[0] for path in cache.iterdir() if "-" in path.name)
    assert kinds == ["latents", "latents", "prompts"]


def test_half_precision_is_kept_as_it_is_and_used_as_fp32(folder: Path, pipe_dir: Path, tmp_path: Path) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    for part in (pipe.vae, pipe.text_encoder):
        part.to(torch.bfloat16)
    samples = open_dataset(folder)
    cached = prepare(samples, pipe, cache=tmp_path / "cache")
    assert isinstance(cached.latent_std, MappedRows) and cached.latent_std.parts[0].dtype == torch.bfloat16
    batch = draw(cached)
    assert batch.x0.dtype == batch.complete.dtype == torch.float32
    assert_same(cached, prepare(samples, pipe))


def test_a_damaged_shard_is_named(folder: Path, pipe: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepare(open_dataset(folder), pipe, cache=cache)
    shard = next(cache.glob("latents-*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(ConfigError, match=rf"(?s){shard.name}.*delete this file"):
        prepare(open_dataset(folder), pipe, cache=cache)


@pytest.mark.usefixtures("small_shards")
def test_a_disk_too_small_is_noticed_after_one_shard(
    folder: Path, pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(ConfigError, match=r"the disk has 0\.0 GB left"):
        prepare(open_dataset(folder), pipe, cache=tmp_path / "cache")


def test_pixels_in_memory_are_cached_too(samples: list[Sample], pipe: Any, tmp_path: Path) -> None:
    assert_same(prepare(samples, pipe, cache=tmp_path), prepare(samples, pipe))


def test_a_data_set_is_known_by_content(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    digest = samples_digest(open_dataset(folder), cache)
    moved = folder.rename(tmp_path / "moved")
    assert samples_digest(open_dataset(moved), cache) == digest
    changed = moved / "1.png"
    stat = changed.stat()
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    reads: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (reads.append(self), read(self))[1])
    assert samples_digest(open_dataset(moved), cache) == digest
    assert reads == [changed]  # all others are remembered
    with next((cache / "files").glob("*.jsonl")).open("a") as torn:
        torn.write('["half a li')
    Image.new("RGB", (64, 64)).save(changed)
    assert samples_digest(open_dataset(moved), cache) != digest
    samples: Dataset = open_dataset(moved)
    assert samples_digest(samples[:9]) != samples_digest(samples)


def test_digests_of_networks_and_tokenizers(tmp_path: Path) -> None:
    vae = tiny_vae()
    digest = module_digest(vae, 1)
    assert digest == module_digest(vae.to(memory_format=torch.channels_last), 1) != module_digest(vae, 2)
    assert digest != module_digest(vae.to(torch.bfloat16), 1)
    tokenizer = tiny_tokenizer()
    before = tokenizer_digest(tokenizer)
    tokenizer(["a man", "a"], padding="max_length", truncation=True)
    assert tokenizer_digest(tokenizer) == before
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    digests = {weights_digest(tmp_path), weights_digest(tmp_path / "model.safetensors")}
    assert len(digests) == 2
    assert key_of("a", "b") != key_of("ab")
