"""CLIP scores against other people's code: torchmetrics, the model's own front, and OpenCLIP's tokenizer."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPProcessor

from spf_bench.metrics.clip_encoder import ClipEncoder, tokenize
from spf_bench.metrics.clip_i import ClipI
from spf_bench.metrics.clip_t import ClipT
from spf_bench.models.image_processor import pil_processor
from spf_train.single_file import load_tokenizer
from tests.bench.metrics.stand_ins import batch, noise_pictures

TARGETS = ["with a beard", "wearing sunglasses", "pencil sketch style", "with freckles"]


@pytest.fixture(scope="module")
def encoder(clip_dir) -> ClipEncoder:
    return ClipEncoder.from_pretrained("clip", clip_dir, "cpu")


def plain(features: Any) -> Tensor:
    """Projected features [B, D]: transformers 4 returns them, 5 an object that holds them."""
    return features if torch.is_tensor(features) else features.pooler_output


class Plain(nn.Module):
    """A CLIP whose front returns tensors, as torchmetrics takes it to do."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def get_image_features(self, pixels: Tensor) -> Tensor:
        return plain(self.model.get_image_features(pixels))

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        return plain(self.model.get_text_features(ids, mask))


def test_a_hundredth_of_torchmetrics_image_by_image(encoder, clip_dir):
    module = pytest.importorskip("torchmetrics.multimodal.clip_score", exc_type=Exception)
    processor = CLIPProcessor(pil_processor().from_pretrained(clip_dir), encoder.tokenizer)
    metric = module.CLIPScore(lambda: (Plain(encoder.model), processor))
    images = noise_pictures(4)
    ours = ClipT(encoder).score(batch(noise_pictures(4, seed=1), images, TARGETS))["clip_t"]
    for image, text, score in zip(images, TARGETS, ours, strict=True):
        metric.reset()
        metric.update([torch.from_numpy(image).permute(2, 0, 1)], [text])
        assert float(metric.score) == pytest.approx(100 * float(score), abs=1e-4)
    assert float(ours.min()) < 0 <= float(metric.compute())  # what it reports of a mean is never below 0


def test_vectors_are_those_of_the_models_front(encoder):
    images = np.stack(noise_pictures(3))
    with torch.no_grad():
        seen = plain(encoder.model.get_image_features(pixel_values=encoder.preprocess(images)))
        read = plain(encoder.model.get_text_features(input_ids=tokenize(encoder.tokenizer, TARGETS)))
    assert (seen.norm(dim=-1) - 1).abs().max() > 0.01  # the front does not normalise
    torch.testing.assert_close(encoder.encode(images)["image"], nn.functional.normalize(seen, dim=-1))
    torch.testing.assert_close(encoder.texts(TARGETS), nn.functional.normalize(read, dim=-1))


def test_eight_at_once_are_eight_alone(encoder):
    original, custom = noise_pictures(8), noise_pictures(8, seed=1)
    texts = TARGETS * 2
    for metric in (ClipI(encoder), ClipT(encoder)):
        together = metric.score(batch(original, custom, texts))[metric.key]
        rows = [slice(i, i + 1) for i in range(8)]
        alone = torch.cat([metric.score(batch(original[r], custom[r], texts[r]))[metric.key] for r in rows])
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_openclips_tokenizer_gives_the_same_ids_of_plain_text():
    module = pytest.importorskip("open_clip", reason="the paper extra is not installed", exc_type=Exception)
    texts = ["a portrait of a 30-year-old woman, long blonde hair", "pencil sketch style; it's her cat's", ""]
    theirs = module.get_tokenizer("ViT-L-14")(texts)
    ours = load_tokenizer()([*texts], padding=False)["input_ids"]
    for row, ids in zip(theirs.tolist(), ours, strict=True):
        assert row[: len(ids)] == ids and not any(row[len(ids) :])
