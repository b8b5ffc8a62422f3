"""Resizing against the code that each dialect comes from."""

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from spf_bench.metrics.resize import clean_bicubic, pil_bicubic, short_side_bilinear, tf1_bilinear
from tests.bench.metrics.photograph import photograph

PICTURES = {
    "stripes": np.kron(np.indices((64, 64)).sum(0) % 2 * 255, np.ones((3, 3)))[..., None].repeat(3, -1),
    "noise": np.random.default_rng(0).integers(0, 256, (80, 80, 3)),
}


def as_tensor(image):
    return torch.tensor(image).permute(2, 0, 1)[None].float()


@pytest.fixture(params=["stripes", "noise", "photograph"])
def image(request):
    return photograph() if request.param == "photograph" else PICTURES[request.param].astype(np.uint8)


@pytest.mark.parametrize("size", [299, 64])
def test_tf1_is_torch_fidelitys(image, size):
    module = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow", exc_type=Exception)
    like = module.interpolate_bilinear_2d_like_tensorflow1x
    expected = like(as_tensor(image), (size, size), align_corners=False)
    torch.testing.assert_close(tf1_bilinear(as_tensor(image), size), expected, atol=1e-3, rtol=0)


def test_tf1_by_hand():
    line = torch.tensor([0.0, 10.0, 20.0, 30.0]).expand(1, 1, 4, 4)
    assert tf1_bilinear(line, 2)[0, 0, 0].tolist() == [0, 20]  # starts at 0, not at the centre of the first two
    assert tf1_bilinear(line, 8)[0, 0, 0].tolist() == [0, 5, 10, 15, 20, 25, 30, 30]
    assert torch.equal(tf1_bilinear(line, 4), line)


def test_clean_is_clean_fids(image):
    resize = pytest.importorskip("cleanfid.resize", exc_type=Exception)
    theirs = resize.make_resizer("PIL", False, "bicubic", (299, 299))(image)
    ours = clean_bicubic(image[None], 299)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(ours, theirs)


def test_clean_is_bicubic_in_float_and_clipped():
    edge = np.zeros((1, 64, 64, 3), np.uint8)
    edge[:, :, 32:] = 255
    small = clean_bicubic(edge, 24)
    assert small.dtype == torch.float32 and small.min() == 0 and small.max() == 255
    assert ((small > 0) & (small < 255) & (small != small.round())).any()
    blocks = clean_bicubic(np.full((1, 64, 64, 3), 37, np.uint8), 24)
    torch.testing.assert_close(blocks, torch.full_like(blocks, 37.0))


def test_the_dialects_are_far_apart_on_edges():
    stripes = PICTURES["stripes"].astype(np.uint8)
    ours = tf1_bilinear(as_tensor(stripes), 64), clean_bicubic(stripes[None], 64)
    assert (ours[0] - ours[1]).abs().mean() > 40


def test_pil_bicubic_is_pils():
    image = PICTURES["noise"].astype(np.uint8)
    expected = PILImage.fromarray(image).resize((24, 24), PILImage.Resampling.BICUBIC)
    np.testing.assert_array_equal(pil_bicubic(image[None], 24)[0], np.asarray(expected))


def test_short_side_is_torchvisions(image):
    functional = pytest.importorskip("torchvision.transforms.functional", exc_type=Exception)
    tall = as_tensor(image)[..., : image.shape[1] // 2]
    torch.testing.assert_close(short_side_bilinear(tall, 48), functional.resize(tall, 48, antialias=True))


def test_short_side_averages_what_it_drops():
    fine = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 1, 64, 64)
    small = short_side_bilinear(fine, 16)
    inside = small[..., 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.5))
    assert short_side_bilinear(fine, 64) is fine
