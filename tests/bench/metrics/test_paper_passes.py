"""All columns of the paper suite, over the published code in miniature: who is scored together changes nothing, and
what networks saw of an original is there for the next method."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spf_bench.doctor.numbers import pairs
from spf_bench.doctor.numbers.subjects import PAPER, subjects
from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch, Metric
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.features import Image, pair
from spf_bench.metrics.plugins import AnyMetric
from tests.bench.metrics.stand_ins import noise_pictures

SAM = {"seg_cons", "seg_cons_hungarian"}  # shown one image at a time: `test_sam`
LIKE_FID = {"fid_clean", "kid"}  # through the same network
KEYS = [key for key, *_ in PAPER if key not in SAM | LIKE_FID]
MADE_ANEW = {"lpips", "lpips_vgg", "psnr", "ssim"}  # feature maps of megabytes, and pixels

ready = cache(lambda: {subject.key: subject for subject in subjects("paper")})


@pytest.fixture
def metric(request: pytest.FixtureRequest) -> AnyMetric:
    """One of the suite's metrics; skips where its package is not installed."""
    try:
        return ready()[request.param].build()
    except (ImportError, UserError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        pytest.skip(str(error).splitlines()[0])


def values(metric: AnyMetric, batch: Batch) -> dict[str, Tensor]:
    """Return every score of a batch, or its features."""
    if isinstance(metric, Metric):
        return metric.score(batch)
    return {name: metric.features(side) for name, side in (("original", batch.original), ("custom", batch.custom))}


def some(rows: slice) -> Batch:
    """Return some of the stored pairs, the first of which is an original with itself."""
    known = pairs.load(pairs.SMALL)
    return Batch(known.triples[rows], *pair(known.originals[rows], known.customs[rows]))


@pytest.mark.parametrize("metric", KEYS, indirect=True)
def test_no_batch_size_changes_a_score_by_more_than_a_ten_thousandth(metric: AnyMetric) -> None:
    together = values(metric, some(slice(0, 3)))
    alone = [values(metric, some(slice(i, i + 1))) for i in range(3)]
    for column, found in together.items():
        expected = torch.cat([row[column] for row in alone])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0, equal_nan=True, msg=f"{metric.key}: {column}")


@pytest.mark.parametrize("metric", KEYS, indirect=True)
def test_a_second_method_pays_for_its_own_images(
    metric: AnyMetric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    for encoder in metric.encoders:
        monkeypatch.setattr(encoder, "encode", counted(encoder.encode, shown))
    known = pairs.load(pairs.SMALL)
    triples, originals = known.triples[:2], known.originals[:2]
    found = []
    for method in (0, 1):
        store = FeatureStore(tmp_path)
        current = Batch(triples, *pair(originals, noise_pictures(2, pairs.SMALL, method), store))
        shown.clear()
        found.append(values(metric, current))
        for encoder in metric.encoders:
            store.add(encoder, current.original)
        store.save()
    assert sum(shown) == (4 if metric.key in MADE_ANEW else 2) * len(metric.encoders)
    anew = values(metric, Batch(triples, *pair(originals, noise_pictures(2, pairs.SMALL, 1))))
    for column, expected in anew.items():
        torch.testing.assert_close(found[1][column], expected, atol=1e-5, rtol=1e-5, equal_nan=True, msg=column)


def counted(encode: Callable[[Image], dict[str, Tensor]], shown: list[int]) -> Callable[[Image], dict[str, Tensor]]:
    """Note how many images a network is shown."""

    def look(images: Image) -> dict[str, Tensor]:
        shown.append(len(images))
        return encode(images)

    return look
