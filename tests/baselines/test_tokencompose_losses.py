"""Grounding losses and masks against what the authors' own functions returned, and against their formulas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.tokencompose.losses import pixel_loss, token_loss
from baselines.tokencompose.regions import crop_mask, pack, read_mask, shrink, unpack

VECTORS = Path(__file__).parent / "vectors"
CASES = sorted(path.stem.split("_")[1] for path in VECTORS.glob("tokencompose_T*.npz"))
RULES = {"aa": True, "noaa": False}


class Case:
    """One vector: attention that asks for gradients, token positions as a table, masks."""

    def __init__(self, name: str) -> None:
        self.data = np.load(VECTORS / f"tokencompose_{name}.npz")
        count = int(self.data["n_maps"])
        self.maps = [torch.from_numpy(self.data[f"attn_{i}"])[None].requires_grad_() for i in range(count)]
        words = json.loads(str(self.data["words_json"]))
        self.tokens = torch.zeros(1, len(words), self.maps[0].shape[-1], dtype=torch.bool)
        for noun, positions in enumerate(words):
            self.tokens[0, noun, positions] = True
        self.masks = torch.from_numpy(self.data["masks512"].astype(np.float32))
        self.resolution = self.maps[0].shape[2]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@pytest.mark.parametrize("rule", RULES)
def test_masks_are_the_originals_cell_by_cell(case: Case, rule: str) -> None:
    found = shrink(case.masks, case.resolution, RULES[rule])
    assert torch.equal(found, torch.from_numpy(case.data[f"mask_{rule}"]).bool())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", [token_loss, pixel_loss])
def test_losses_and_gradients_are_the_originals(case: Case, rule: str, loss: object) -> None:
    name = loss.__name__  # type: ignore[attr-defined]
    masks = shrink(case.masks, case.resolution, RULES[rule])[None]
    found = {"token_loss": token_loss, "pixel_loss": pixel_loss}[name](case.maps, case.tokens, masks)
    assert found.item() == pytest.approx(float(case.data[f"{name}_{rule}"]), rel=1e-4)
    gradients = torch.autograd.grad(found.sum(), case.maps)
    for i, gradient in enumerate(gradients):
        key = f"d{name}_{rule}_{i}"
        if key in case.data:
            torch.testing.assert_close(gradient[0], torch.from_numpy(case.data[key]), rtol=1e-3, atol=1e-9)


def written_out(maps: list[Tensor], tokens: Tensor, masks: Tensor) -> tuple[float, float]:
    """Both losses of one sample, loop by loop, in float64."""
    token = pixel = 0.0
    nouns = [noun for noun in range(len(tokens)) if tokens[noun].any()]
    for noun in nouns:
        mask, positions = masks[noun].double(), tokens[noun].nonzero().flatten().tolist()
        for attention in (one.double() for one in maps):
            misses = []
            for j in positions:
                column = attention[..., j]
                share = [float((head * mask).sum() / head.sum()) for head in column]
                misses.append((1 - sum(share) / len(share)) ** 2)
            token += sum(misses) / len(misses) / len(nouns)
        mean = torch.stack([one.double().mean(dim=0) for one in maps]).mean(dim=0)[..., positions].sum(dim=-1)
        cells = mask * mean.log().clamp(min=-100) + (1 - mask) * (1 - mean).log().clamp(min=-100)
        pixel -= float(cells.mean()) / len(nouns)
    return token, pixel


def test_a_batch_is_its_samples_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(4, 3, 8, 8, 10, generator=generator).softmax(dim=-1) for _ in range(2)]
    masks = torch.rand(4, 3, 8, 8, generator=generator) > 0.6
    tokens = torch.zeros(4, 3, 10, dtype=torch.bool)
    for sample, words in enumerate([[[1], [2, 3], [7]], [[4, 5, 6]], [], [[2], [9]]]):
        for noun, positions in enumerate(words):
            tokens[sample, noun, positions] = True
    token, pixel = token_loss(maps, tokens, masks), pixel_loss(maps, tokens, masks)
    for sample in (0, 1, 3):
        expected = written_out([one[sample] for one in maps], tokens[sample], masks[sample])
        assert (token[sample].item(), pixel[sample].item()) == pytest.approx(expected, rel=1e-5)
    assert token[2] == pixel[2] == 0


def test_a_token_nobody_attends_to_has_a_finite_gradient() -> None:
    attention = torch.zeros(1, 2, 4, 4, 5)
    attention[..., 0] = 1
    attention.requires_grad_()
    tokens = torch.zeros(1, 1, 5, dtype=torch.bool)
    tokens[0, 0, 3] = True
    loss = token_loss([attention], tokens, torch.ones(1, 1, 4, 4))
    loss.sum().backward()
    assert loss.item() == 1 and attention.grad is not None and attention.grad.isfinite().all()


def test_attention_in_half_precision_is_scored_under_autocast() -> None:
    attention = torch.full((1, 2, 4, 4, 5), 0.2, dtype=torch.bfloat16)
    tokens = torch.zeros(1, 1, 5, dtype=torch.bool)
    tokens[0, 0, 1] = True
    with torch.autocast("cpu", torch.bfloat16):
        losses = [loss([attention], tokens, torch.ones(1, 1, 4, 4)) for loss in (token_loss, pixel_loss)]
    assert losses[0].item() == pytest.approx(0, abs=1e-3) and losses[1].item() == pytest.approx(1.6, rel=1e-2)
    assert all(loss.dtype == torch.float32 for loss in losses)


@pytest.mark.parametrize("resolution", [16, 8])
def test_which_pixels_a_cell_sees(resolution: int) -> None:
    """For a whole ratio s: the four central pixels, or with antialiasing those within s of the centre."""
    s = 64 // resolution
    masks = torch.zeros(64 * 64 // 7, 64, 64)
    for row, pixel in enumerate(range(0, 64 * 64 - 6, 7)):
        masks[row].view(-1)[pixel] = 1
    plain, smooth = (shrink(masks, resolution, antialias) for antialias in (False, True))
    for row, pixel in enumerate(range(0, 64 * 64 - 6, 7)):
        y, x = divmod(pixel, 64)
        central = [[v in (s * i + s // 2 - 1, s * i + s // 2) for i in range(resolution)] for v in (y, x)]
        near = [[s * i - s / 2 <= v < s * i + 1.5 * s for i in range(resolution)] for v in (y, x)]
        assert torch.equal(plain[row], torch.outer(*(torch.tensor(side) for side in central)))
        assert torch.equal(smooth[row], torch.outer(*(torch.tensor(side) for side in near)))


def test_packed_regions_come_back() -> None:
    regions = torch.rand(3, 2, 6, 6) > 0.5
    assert torch.equal(unpack(pack(regions), 6), regions)


def test_a_mask_file_is_its_first_channel_scaled_and_cropped_as_its_image(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.zeros((40, 80, 4), dtype=np.uint8)
    pixels[:, :40, 0] = 100
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", 40)
    assert mask.shape == (40, 40) and mask.max() == 1
    assert (mask[:, :20] == 1).all() and (mask[:, 20:] == 0).all()
    assert crop_mask(np.ones((80, 40), dtype=np.float32), 20).shape == (20, 20)
