"""LPIPS against its formula in loops, the authors' package where present, and by hand."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.files.store import file_sha256
from spf_bench.metrics.lpips import LPIPS, LPIPSVGG, distance
from spf_bench.metrics.lpips_trunk import HEADS, LpipsTrunk, linear_heads, trunk
from tests.bench.metrics.photograph import photograph
from tests.bench.metrics.stand_ins import Given, batch, noise_pictures, picture


def maps(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, c, s, s, generator=generator) for c, s in ((4, 6), (8, 3))]


def by_loops(a, b, heads):
    total = torch.zeros(2)
    for n in range(2):
        for x, y, head in zip(a, b, heads, strict=True):
            height, width = x.shape[2:]
            for i in range(height):
                for j in range(width):
                    u, v = (f[n, :, i, j] / (f[n, :, i, j].norm() + 1e-10) for f in (x, y))
                    total[n] += (head * (u - v) ** 2).sum() / (height * width)
    return total


def test_formula():
    heads = [torch.rand(4), torch.rand(8)]
    torch.testing.assert_close(distance(maps(0), maps(1), heads), by_loops(maps(0), maps(1), heads))


def test_uniform_heads_mean_one_minus_cosine():
    a, b = maps(0), maps(1)
    expected = sum(1 - torch.cosine_similarity(x, y).mean(dim=(1, 2)) for x, y in zip(a, b, strict=True)) / 2
    torch.testing.assert_close(distance(a, b), expected)


def test_itself_is_zero_and_order_means_nothing():
    a, b = maps(0), maps(1)
    assert (distance(a, a) == 0).all()
    torch.testing.assert_close(distance(a, b), distance(b, a))
    assert (distance(a, b) > 0).all()


def test_silent_positions_count_nothing():
    silent = [torch.zeros(1, 3, 2, 2)]
    assert distance(silent, silent).item() == 0


def test_metric_takes_the_stages_in_order():
    stage = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[:, :, None, None]
    encoder = Given(stage0=stage, stage1=stage, pooled=torch.zeros(2, 7))
    scores = LPIPS(encoder).score(batch([picture(0), picture(0)], [picture(1), picture(0)]))["lpips"]
    assert scores.tolist() == [1.0, 0.0]


VALUES = {"alex": [0.0911025, 0.0965126], "vgg": [0.1206598, 0.1208670]}


@pytest.fixture(params=VALUES)
def authors(request, tmp_path):
    """The authors' network with random trunk, and ours from a file of the same weights as torchvision writes it."""
    package = pytest.importorskip("lpips", reason="needs lpips and torchvision", exc_type=Exception)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.LPIPS(net=request.param, pnet_rand=True, verbose=False)
    state = {"features." + name.split(".", 1)[1]: value for name, value in theirs.net.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.ones(1)}, tmp_path / "trunk.pth")
    return theirs, LpipsTrunk.from_weights(tmp_path / "trunk.pth", "cpu", request.param), VALUES[request.param]


def test_authors_package(authors):
    theirs, ours, values = authors
    torch.manual_seed(1)
    x, y = (torch.rand(2, 3, 64, 64) * 2 - 1 for _ in range(2))
    with torch.no_grad():
        expected = theirs(x, y).flatten()
        a, b = (list(theirs.net(theirs.scaling_layer(image))) for image in (x, y))
    torch.testing.assert_close(expected, torch.tensor(values), atol=1e-6, rtol=0)
    torch.testing.assert_close(distance(a, b, ours.heads), expected)

    images = [photograph(64), *noise_pictures(3)]
    pixels = [torch.tensor(image).permute(2, 0, 1).float() / 255 for image in images]
    with torch.no_grad():
        expected = theirs(torch.stack(pixels[:2]), torch.stack(pixels[2:]), normalize=True).flatten()
    scores = LPIPS(ours, ours.heads).score(batch(images[:2], images[2:]))["lpips"]
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("authors", ["alex"], indirect=True)
def test_torchmetrics_over_the_same_trunk(authors):
    theirs, ours, _ = authors
    module = pytest.importorskip("torchmetrics.functional.image.lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = module._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    other.net.load_state_dict(theirs.net.state_dict())
    images = noise_pictures(4)
    x, y = (torch.tensor(np.stack(side)).permute(0, 3, 1, 2) / 127.5 - 1 for side in (images[:2], images[2:]))
    with torch.no_grad():
        expected = other.eval()(x, y).flatten()
    scores = LPIPS(ours, ours.heads).score(batch(images[:2], images[2:]))["lpips"]
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


def test_heads_are_the_authors():
    widths = {"alex": [64, 192, 384, 256, 256], "vgg": [64, 128, 256, 512, 512]}
    for net, expected in widths.items():
        heads = linear_heads(net)
        assert [len(head) for head in heads] == expected
        assert all((head >= 0).all() for head in heads)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_authors_package_ships_the_same_heads_byte_for_byte(net):
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        pytest.skip("lpips is not installed")
    assert file_sha256(Path(spec.origin).parent / "weights" / "v0.1" / f"{net}.pth") == HEADS[net]


def test_other_heads_are_refused(tmp_path, monkeypatch):
    (tmp_path / "alex.pth").write_bytes(b"other")
    monkeypatch.setattr("spf_bench.metrics.lpips_trunk._heads_file", lambda net: tmp_path / f"{net}.pth")
    with pytest.raises(UserError, match=r"not those of v0\.1"):
        linear_heads("alex")


def test_chunks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    encoder = LpipsTrunk("alex", trunk("alex"), linear_heads("alex"))
    images = np.stack(noise_pictures(3))
    whole = encoder.encode(images)
    monkeypatch.setattr("spf_bench.metrics.lpips_trunk.CHUNK", 2)
    for key, value in encoder.encode(images).items():
        torch.testing.assert_close(value, whole[key], atol=1e-6, rtol=1e-5)
    assert [tuple(v.shape[1:]) for v in whole.values()] == [(64, 15, 15), (192, 7, 7), (384, 3, 3), *[(256, 3, 3)] * 2]


def test_vgg_is_another_column():
    assert (LPIPSVGG.key, LPIPSVGG.title) == ("lpips_vgg", "LPIPS (VGG)")
