"""CLIP scores against Hugging Face's own forward pass and processor, and by hand."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel

from spf_bench.metrics.clip_encoder import ClipEncoder, Preprocess, tokenize
from spf_bench.metrics.clip_i import ClipI
from spf_bench.metrics.clip_t import ClipT, direction
from spf_bench.metrics.hps import HPS, HPSModel
from spf_bench.models.image_processor import pil_processor
from tests.bench.metrics.stand_ins import batch, noise_pictures

TARGETS = ["with a beard", "wearing sunglasses", "pencil sketch style"]


@pytest.fixture(scope="module")
def encoder(clip_dir):
    return ClipEncoder.from_pretrained("clip", clip_dir, "cpu")


@pytest.mark.parametrize("shape", [(64, 64), (96, 80), (40, 64)])
def test_pixels_are_those_of_the_image_processor(shape, clip_dir):
    image = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    theirs = pil_processor().from_pretrained(clip_dir)(Image.fromarray(image[0]), return_tensors="pt")
    ours = Preprocess.from_pretrained(clip_dir)(image)
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "sides",
    [
        {"crop_size": 224, "size": 224},
        {"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}},
        {"size": {"shortest_edge": 224}},
    ],
)
def test_sides_are_numbers_or_named(tmp_path, sides):
    facts = {**sides, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    assert Preprocess.from_pretrained(tmp_path) == Preprocess(224, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_scores_are_the_forward_pass(encoder, clip_dir):
    current = batch(noise_pictures(3), noise_pictures(3, seed=1), TARGETS)
    model, ids = CLIPModel.from_pretrained(clip_dir), tokenize(encoder.tokenizer, TARGETS)
    with torch.no_grad():
        sides = [
            model(pixel_values=encoder.preprocess(np.stack(noise_pictures(3, seed=s))), input_ids=ids) for s in (0, 1)
        ]
    target = (sides[1].image_embeds * sides[1].text_embeds).sum(-1)
    torch.testing.assert_close(ClipT(encoder).score(current)["clip_t"], target, atol=1e-6, rtol=0)
    images = (sides[0].image_embeds * sides[1].image_embeds).sum(-1)
    torch.testing.assert_close(ClipI(encoder).score(current)["clip_i"], images, atol=1e-6, rtol=0)


def test_headline_reads_the_target_alone(encoder):
    image = noise_pictures(1)
    scores = ClipT(encoder).score(batch(image, image, ["with a beard"]))
    seen = batch(image, image).custom.of(encoder)["image"]
    alone, full = encoder.texts(["with a beard", "a man, smiling, with a beard"])
    assert scores["clip_t"].item() == pytest.approx((seen @ alone).item(), abs=1e-6)
    assert scores["clip_t_full"].item() == pytest.approx((seen @ full).item(), abs=1e-6)


def test_direction_starts_at_the_original(encoder):
    sides = noise_pictures(1), noise_pictures(1, seed=1)
    current = batch(*sides, ["with a beard"])
    before, after = (side.of(encoder)["image"][0] for side in (current.original, current.custom))
    base, full = encoder.texts(["a man, smiling", "a man, smiling, with a beard"])
    expected = torch.cosine_similarity(after - before, full - base, dim=0).item()
    assert ClipT(encoder).score(current)["clip_d"].item() == pytest.approx(expected, abs=1e-5)


def test_direction():
    image = torch.tensor([[2.0, 0.0], [0.0, -3.0], [0.0, 0.0], [1.0, 1.0]])
    text = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    nan = torch.nan
    torch.testing.assert_close(direction(image, text), torch.tensor([0.5**0.5, -1.0, nan, nan]), equal_nan=True)


def test_what_was_asked_before_changes_no_bit(clip_dir):
    first, second = (ClipEncoder.from_pretrained("clip", clip_dir, "cpu") for _ in range(2))
    first.texts(["in a green sweater", "a man, smiling"])
    asked = ["with a beard", "in a green sweater", "with a beard"]
    torch.testing.assert_close(first.texts(asked), second.texts(asked), atol=0, rtol=0)
    assert first.texts(asked).shape == (3, 16)


def test_long_text_warns_and_keeps_its_end_token(encoder):
    with pytest.warns(UserWarning, match="1 texts exceed the 40 tokens"):
        ids = tokenize(encoder.tokenizer, ["a man, " * 40, "a man"])
    assert ids.shape == (2, 40) and ids[0, -1] == encoder.tokenizer.eos_token_id


def test_hps_metric_is_the_trained_model(encoder, clip_dir):
    images, model = noise_pictures(2), HPSModel.from_pretrained(clip_dir)
    current = batch(noise_pictures(2, seed=4), images, TARGETS[:2])
    with torch.no_grad():
        raw = model(encoder.preprocess(np.stack(images)), tokenize(encoder.tokenizer, current.prompts))
    torch.testing.assert_close(HPS(encoder).score(current)["hps"], raw, atol=1e-6, rtol=0)


def test_hps_saves_and_loads(clip_dir, tmp_path):
    model = HPSModel.from_pretrained(clip_dir)
    model.save_pretrained(tmp_path)
    again = HPSModel.from_pretrained(tmp_path)
    pixels, ids = torch.randn(1, 3, 64, 64), torch.full((1, 40), 5)
    with torch.no_grad():
        assert torch.equal(model(pixels, ids), again(pixels, ids))
