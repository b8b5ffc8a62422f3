"""Samples become latents, embeddings and noise that depend on nothing but the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spf_train.data import Prepared, Sample
from spf_train.errors import ConfigError
from spf_train.identity import samples_digest
from spf_train.order import derive, sample_order
from spf_train.prepare import encode_texts, prepare
from spf_train.text_table import TextTable
from spf_train.train import load_pipeline
from tests.train.conftest import draw


@pytest.fixture(scope="module")
def prepared(pipe_dir: Path, samples: list[Sample]) -> Prepared:
    return prepare(samples, load_pipeline(pipe_dir, "cpu"))


def test_latents_are_the_scaled_posterior(pipe_dir: Path, samples: list[Sample], prepared: Prepared) -> None:
    vae = load_pipeline(pipe_dir, "cpu").vae
    pixels = torch.from_numpy(np.array(samples[3].image)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        posterior = vae.encode(pixels).latent_dist
    torch.testing.assert_close(prepared.latent_mean[3], posterior.mean[0] * 0.5, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(prepared.latent_std[3], posterior.std[0] * 0.5, atol=1e-5, rtol=1e-4)


def test_embeddings_are_those_of_sampling(pipe_dir: Path, samples: list[Sample], prepared: Prepared) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    prompt = f"{samples[2].base}, {samples[2].target}"
    complete, empty = pipe.encode_prompt(prompt, "cpu", 1, True, negative_prompt="")
    torch.testing.assert_close(draw(prepared).complete[2], complete[0])
    torch.testing.assert_close(draw(prepared, dropout=1.0).complete[2], empty[0])
    torch.testing.assert_close(draw(prepared, dropout=1.0).base[2], empty[0])


def test_equal_texts_are_encoded_once(samples: list[Sample], prepared: Prepared) -> None:
    texts = {s.base for s in samples} | {f"{s.base}, {s.target}" for s in samples} | {""}
    assert len(prepared.texts) == len(texts) < 2 * len(samples)


def test_texts_that_do_not_fit_in_memory_are_encoded_at_use(pipe_dir: Path) -> None:
    pipe, texts = load_pipeline(pipe_dir, "cpu"), ["", "a man", "smiling", "a man"]
    kept, lazy = (TextTable(texts, lambda part: encode_texts(pipe, part), memory) for memory in (10**9, 1))
    rows = kept.index(["smiling", "a man"])
    assert lazy.embeddings is None and len(lazy) == 3
    torch.testing.assert_close(kept[rows], lazy[rows])


def test_a_batch_depends_on_its_generator_alone(prepared: Prepared) -> None:
    one, same, other = (draw(prepared, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.x0, same.x0) and torch.equal(one.eps, same.eps) and torch.equal(one.t, same.t)
    assert not torch.equal(one.eps, other.eps)


def test_split_covers_the_batch(prepared: Prepared) -> None:
    batch = draw(prepared, size=5)
    parts = list(batch.split(2))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.eps for part in parts]), batch.eps)
    assert len(next(batch.split(None))) == 5


def test_every_epoch_shows_every_sample_once_in_a_new_order() -> None:
    shown = torch.cat([sample_order(0, step, 4, 10) for step in range(5)])
    assert sorted(shown[:10].tolist()) == sorted(shown[10:].tolist()) == list(range(10))
    assert shown[:10].tolist() != shown[10:].tolist()
    assert sample_order(1, 0, 10, 10).tolist() != shown[:10].tolist()
    assert len({derive(0, purpose, 1) for purpose in ("noise", "order", "model")}) == 3


def test_images_of_other_sizes_are_cropped_at_the_centre(tmp_path: Path) -> None:
    array = np.zeros((64, 128, 3), dtype=np.uint8)
    array[:, 32:96] = 255
    assert Sample(array, "a man", "smiling").pixels(64).min() == 255
    Image.fromarray(array).convert("L").save(tmp_path / "grey.png")
    assert Sample(tmp_path / "grey.png", "a man", "smiling").pixels(32).shape == (32, 32, 3)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_greys_of_16_bits_keep_their_shades(tmp_path: Path, kind: str) -> None:
    shades = np.repeat(np.array([[0, 1000, 32896, 65535]], dtype=np.uint16), 4, axis=0)
    Image.fromarray(shades).save(tmp_path / f"grey.{kind}")
    pixels = Sample(tmp_path / f"grey.{kind}", "a man", "smiling").pixels(4)
    assert pixels[:, :, 0].tolist() == [[0, 4, 128, 255]] * 4 and pixels.shape == (4, 4, 3)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused(pipe_dir: Path, samples: list[Sample], tmp_path: Path, kind: type) -> None:
    Image.fromarray(np.full((64, 64), 3, dtype=kind)).save(tmp_path / "deep.tif")
    portraits = [*samples, Sample(tmp_path / "deep.tif", "a man", "smiling")]
    left = prepare(portraits, load_pipeline(pipe_dir, "cpu"), max_skipped=0.1)
    assert [problem.what for problem in left.problems] == ["the image has 32 bits a pixel: save it with 8 or 16"]


def test_of_a_very_long_image_the_middle_alone_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    line = np.zeros((2, 2000, 3), dtype=np.uint8)
    line[:, 990:1010] = 255
    most, resize = list[int](), Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, *how: (most.append(max(size)), resize(self, size, *how))[1]
    )
    for image in (line, line.swapaxes(0, 1), line[:, 984:1000]):
        assert Sample(image, "a man", "smiling").pixels(32).shape == (32, 32, 3)
    assert most == [256, 256, 256] and Sample(line, "a man", "smiling").pixels(32).min() == 255


def test_no_samples(pipe_dir: Path) -> None:
    with pytest.raises(ConfigError, match="no samples"):
        prepare([], load_pipeline(pipe_dir, "cpu"))


def test_digest_sees_texts_and_pixels(samples: list[Sample]) -> None:
    changed = Sample(
        np.bitwise_xor(np.asarray(samples[0].image, dtype=np.uint8), np.uint8(1)),
        samples[0].base,
        samples[0].target,
    )
    digests = {samples_digest(s) for s in (samples, samples[::-1], [changed, *samples[1:]])}
    assert len(digests) == 3 and samples_digest(samples) in digests
