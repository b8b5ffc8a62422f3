"""All of the world's metrics over images on disk, in one pass: batch size and precision change what they should."""

import pytest
import torch
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.metrics import for_suite, precision
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.summary import summarise
from spf_bench.scoring.one_batch import Pair
from spf_bench.scoring.one_pass import score
from spf_bench.world.targets import TARGETS
from tests.bench.metrics.stand_ins import noise_pictures, triple


@pytest.fixture
def pairs(tmp_path):
    """Seven pairs of pictures."""
    made = []
    pictures = zip(noise_pictures(7), noise_pictures(7, seed=1), list(TARGETS.values())[:7], strict=True)
    for i, (original, custom, target) in enumerate(pictures):
        paths = tmp_path / f"{i}-a.png", tmp_path / f"{i}-b.png"
        for path, pixels in zip(paths, (original, custom), strict=True):
            Image.fromarray(pixels).save(path)
        made.append(Pair(triple(i, target.phrase), *paths))
    return made


def test_no_batch_size_changes_a_score_by_more_than_a_ten_thousandth(world_metrics, pairs):
    whole = {(line.column, line.category): line.value for line in summarised(pairs, world_metrics, 7)}
    for size in (1, 3):
        for line in summarised(pairs, world_metrics, size):
            expected = whole[line.column, line.category]
            assert line.value == (None if expected is None else pytest.approx(expected, abs=1e-4)), line.column


def summarised(pairs, metrics, size):
    return summarise(score(pairs, metrics, batch=size), metrics)


def test_bfloat16_is_another_network_to_the_cache(world_folders, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("spf_bench.world.assets.folder", world_folders.__getitem__)
    found, digests = {}, []
    for name in precision.PRECISIONS:
        with precision.using(name):
            metrics = for_suite("world", "cpu")
        found[name] = score(pairs, metrics, FeatureStore(tmp_path / "features")).table
        digests.append({encoder.digest for metric in metrics for encoder in metric.encoders})
    assert digests[0].isdisjoint(digests[1])
    exact, rough = (found[name] for name in precision.PRECISIONS)
    for column in ("lpips", "clip_i", "mps"):
        difference = (exact[column] - rough[column]).abs().max()
        assert 0 < difference < 0.1 * exact[column].abs().max() + 0.05, column
    assert len(list((tmp_path / "features").glob("judge_clip-*"))) == 2
    assert all(torch.tensor(rough[column].to_numpy(float)).isfinite().all() for column in ("lpips", "clip_t"))


def test_a_precision_nobody_knows_is_refused():
    with pytest.raises(UserError, match="cannot compute in 'half'"), precision.using("half"):
        pass
