"""LPIPS against its formula in loops, the authors' package where present, and by hand."""

import pytest
import torch

from spf_bench.metrics.lpips import LPIPS, distance
from tests.bench.metrics.stand_ins import Given, batch, picture


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


def test_authors_package():
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    torch.manual_seed(1)
    x, y = (torch.rand(2, 3, 64, 64) * 2 - 1 for _ in range(2))
    with torch.no_grad():
        expected = theirs(x, y).flatten()
        a, b = (list(theirs.net(theirs.scaling_layer(image))) for image in (x, y))
        heads = [layer.model[-1].weight.flatten() for layer in theirs.lins]
    torch.testing.assert_close(expected, torch.tensor([0.0911025, 0.0965126]), atol=1e-5, rtol=0)
    torch.testing.assert_close(distance(a, b, heads), expected)
