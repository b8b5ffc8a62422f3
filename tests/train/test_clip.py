"""The frozen CLIP sees what transformers' own classes would give it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers import CLIPModel

from spf_train.clip import FrozenClip, Preprocessing
from spf_train.errors import ConfigError

PilProcessor = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
"""What resizes with PIL: transformers 5 calls it by the first name, 4 by the second."""


def test_preprocessing_agrees_with_the_image_processor(clip_dir: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    image = coarse.resize((160, 120), Image.Resampling.BICUBIC)  # smooth, as photographs are
    expected = PilProcessor.from_pretrained(clip_dir)(image, return_tensors="pt").pixel_values
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    found = Preprocessing.from_folder(clip_dir)(pixels)
    assert found.shape == (1, 3, 64, 64)
    # PIL rounds to whole bytes after resizing rows and again after columns: up to two levels of 1/255.
    assert (found - expected).abs().max() < 2.2 / 255 / 0.26
    assert (found - expected).mean().abs() < 1e-3


def test_embeddings_are_unit_norm_and_the_models_own(clip_dir: Path) -> None:
    clip, model = FrozenClip.from_pretrained(clip_dir), CLIPModel.from_pretrained(clip_dir)
    images, texts = torch.rand(2, 3, 64, 64), ["with a beard", "smiling"]
    tokens = clip.tokenizer(texts, padding="max_length", return_tensors="pt")
    with torch.no_grad():
        logits = model(pixel_values=clip.preprocessing(images), **tokens).logits_per_image
        own = clip.embed_images(images) @ clip.embed_texts(texts).T * model.logit_scale.exp()
    torch.testing.assert_close(own, logits, atol=1e-4, rtol=1e-4)
    assert clip.embed_texts(texts).norm(dim=-1).tolist() == pytest.approx([1, 1])


def test_gradients_reach_the_image_and_no_weight(clip_dir: Path) -> None:
    clip = FrozenClip.from_pretrained(clip_dir)
    images = torch.rand(1, 3, 96, 80, requires_grad=True)
    clip.embed_images(images)[0, 0].backward()
    assert images.grad is not None and images.grad.any()
    assert all(weight.grad is None for weight in clip.parameters())


def test_other_forms_of_the_config(tmp_path: Path) -> None:
    config = {
        "size": 32,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_center_crop": False,
        "resample": 2,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    preprocessing = Preprocessing.from_folder(tmp_path)
    assert preprocessing.mode == "bilinear"
    assert preprocessing(torch.ones(1, 3, 64, 128)).shape == (1, 3, 32, 64)
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json"):
        Preprocessing.from_folder(tmp_path / "nowhere")
