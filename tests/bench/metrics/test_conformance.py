"""What every metric promises, checked on all of a suite's metrics at once."""

import sys

import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics import for_suite
from spf_bench.metrics.base import Facts, Group, Metric, SetMetric
from spf_bench.world.targets import TARGETS
from tests.bench.metrics.stand_ins import batch, noise_pictures

PAPER_COLUMNS = ["fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps"]
PHRASES = [target.phrase for target in TARGETS.values()][:6]
ITSELF = {"lpips": 0, "id": 1, "clip_i": 1, "seg_cons": 100, "kept": 100, "mps_win": 0.5}


def columns(metrics, current):
    return {k: v for m in metrics if isinstance(m, Metric) for k, v in m.score(current).items()}


def test_suite_has_the_papers_columns_in_order(world_metrics):
    assert [metric.key for metric in world_metrics] == [*PAPER_COLUMNS, "hit_rate", "kept"]


def test_facts_are_complete(world_metrics):
    for metric in world_metrics:
        missing = [fact for fact in Facts.__annotations__ if not hasattr(metric, fact)]
        assert not missing, f"{metric.key} does not say its {missing}"
        assert isinstance(metric.group, Group) and metric.encoders
        said = sys.modules[type(metric).__module__].__doc__ or ""
        assert all(word in said for word in ("Weights:", "Range:")), metric.key


def test_every_column_is_declared(world_metrics):
    images = noise_pictures(6)
    for metric in world_metrics:
        if isinstance(metric, Metric):
            scores = metric.score(batch(images, images[::-1], PHRASES))
            assert list(scores) == [metric.key, *metric.secondary]
            assert all(values.shape == (6,) for values in scores.values())
            assert set(metric.nan_means) <= set(scores)


def test_an_image_with_itself_has_the_exact_best_value(world_metrics):
    images = noise_pictures(6)
    scores = columns(world_metrics, batch(images, [i.copy() for i in images], PHRASES))
    for key, best in ITSELF.items():
        measured = scores[key][~scores[key].isnan()]
        assert measured.tolist() == pytest.approx([best] * len(measured), abs=1e-6), key
    assert (scores["lpips"] == 0).all() and scores["clip_d"].isnan().all()


def test_batch_size_changes_nothing(world_metrics):
    original, custom = noise_pictures(6), noise_pictures(6, seed=1)
    whole = columns(world_metrics, batch(original, custom, PHRASES))
    single = [
        columns(world_metrics, batch(original[i : i + 1], custom[i : i + 1], PHRASES[i : i + 1])) for i in range(6)
    ]
    for key, values in whole.items():
        alone = torch.cat([row[key] for row in single])
        torch.testing.assert_close(values, alone, atol=1e-4, rtol=0, equal_nan=True, msg=key)


def test_scores_lie_within_bounds(world_metrics):
    current = batch(noise_pictures(6), noise_pictures(6, seed=1), PHRASES)
    for metric in world_metrics:
        values = metric.score(current)[metric.key] if isinstance(metric, Metric) else torch.zeros(1)
        low, high = metric.bounds
        known = values[~values.isnan()].double()
        assert (known >= (low if low is not None else -torch.inf)).all(), metric.key
        assert (known <= (high if high is not None else torch.inf) + 1e-6).all(), metric.key


def test_judge_sees_pixels_from_minus_one_to_one(world_metrics):
    (judge,) = {e for metric in world_metrics for e in metric.encoders if e.name == "judge"}
    image = noise_pictures(1)[0]
    pixels = torch.from_numpy(image / 127.5 - 1).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        seen = judge.model(pixels)
    outputs = judge.encode(image[None])
    torch.testing.assert_close(outputs["pooled"], seen.pooled)
    torch.testing.assert_close(outputs["parts"], seen.parts)
    stages = [outputs[name] for name in sorted(outputs) if name.startswith("stage")]
    assert [s.shape for s in stages] == [s.shape for s in seen.stages]


def test_networks_are_loaded_once(world_metrics):
    names = {encoder.name: encoder for metric in world_metrics for encoder in metric.encoders}
    assert set(names) == {"judge", "judge_clip", "hps", "mps"}
    assert all(encoder is names[encoder.name] for metric in world_metrics for encoder in metric.encoders)
    assert all(len(encoder.digest) == 64 for encoder in names.values())


def test_set_metric_of_a_set_with_itself(world_metrics):
    images = batch(noise_pictures(6), noise_pictures(6), PHRASES).original
    for metric in world_metrics:
        if isinstance(metric, SetMetric):
            features = metric.features(images)
            assert metric.compare(features, features).value == 0


def test_unknown_suite():
    with pytest.raises(UserError, match="no suite is called 'wrld'"):
        for_suite("wrld")
