"""One pass over images on disk, and the summary of what it measured."""

import json
from dataclasses import asdict
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.fid import FID
from spf_bench.metrics.segcons import SegCons
from spf_bench.metrics.summary import ALL, summarise
from spf_bench.scoring.one_batch import Pair, read_rgb
from spf_bench.scoring.one_pass import score
from tests.bench.metrics.stand_ins import Colours, ColourSegmenter, noise_pictures, picture, triple


class Redness(Metric):
    """How much redder the customised image is; not defined on black originals, broken on pure red ones."""

    key, title, group = "redness", "Redness", Group.world
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 2
    nan_means: ClassVar[dict[str, str]] = {"redness": "the original is black"}

    def __init__(self, encoder: Colours) -> None:
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        before, after = (side.of(self.encoders[0])["pooled"][:, 0] for side in (batch.original, batch.custom))
        return {"redness": torch.where(before == 0, torch.nan, after - before) / (before != 1)}


def pairs(folder, originals, customs):
    made = []
    for i, (a, b) in enumerate(zip(originals, customs, strict=True)):
        for name, image in (("a", a), ("b", b)):
            Image.fromarray(image).save(folder / f"{name}{i}.png")
        made.append(Pair(triple(i), folder / f"a{i}.png", folder / f"b{i}.png"))
    return made


@pytest.fixture
def noisy(tmp_path):
    return pairs(tmp_path, noise_pictures(11), noise_pictures(11, seed=1))


def test_rows_are_sorted_by_id_whatever_the_batch(noisy):
    encoder = Colours()
    whole = score(noisy, [Redness(encoder), FID(encoder)], batch=11)
    parts = score(noisy[::-1], [Redness(encoder), FID(encoder)], batch=4)
    pd.testing.assert_frame_equal(whole.table, parts.table, atol=1e-6)
    assert list(whole.table.index) == sorted(whole.table.index) and whole.table.index.name == "id"
    assert list(whole.table.columns) == ["category", "redness"]
    for key in ("fid.original", "fid.custom"):
        torch.testing.assert_close(whole.features[key], parts.features[key], atol=1e-6, rtol=0)


def test_images_reach_the_metric_as_they_lie_on_disk(tmp_path):
    made = pairs(tmp_path, [picture(51)], [picture(102)])
    assert score(made, [Redness(Colours())]).table["redness"].item() == pytest.approx(0.2)


def test_each_network_sees_each_image_once(noisy):
    encoder = Colours()
    score(noisy, [Redness(encoder), FID(encoder)], batch=5)
    assert encoder.shown == 22


def test_originals_are_not_seen_again_in_the_next_run(noisy, tmp_path):
    score(noisy, [Redness(Colours())], FeatureStore(tmp_path / "features"))
    encoder = Colours()
    again = score(noisy, [Redness(encoder)], FeatureStore(tmp_path / "features"))
    assert encoder.shown == 11
    pd.testing.assert_frame_equal(again.table, score(noisy, [Redness(Colours())]).table)


def test_interrupted_pass_keeps_what_was_seen(noisy, tmp_path):
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(noisy, [Redness(Colours())], FeatureStore(tmp_path / "f"), batch=4, on_batch=stop)
    assert len(FeatureStore(tmp_path / "f").of(Colours())) == 4


def test_progress_counts_pairs(noisy):
    told = []
    score(noisy, [Redness(Colours())], batch=4, on_batch=told.append)
    assert told == [4, 4, 3]


def test_nan_stays_nan_and_infinity_becomes_it(tmp_path):
    made = pairs(tmp_path, [picture(0), picture(255), picture(51)], [picture(9)] * 3)
    values = score(made, [Redness(Colours())]).table["redness"]
    assert values.isna().tolist() == [True, True, False]


def test_summary_counts_missing_with_the_reason(tmp_path):
    made = pairs(tmp_path, [picture(0), picture(51), picture(51)], [picture(102)] * 3)
    metrics = [Redness(Colours())]
    line = summarise(score(made, metrics), metrics)[0]
    assert (line.column, line.category, line.n, line.missing) == ("redness", ALL, 2, 1)
    assert line.value == pytest.approx(0.2) and line.note == "the original is black"


def test_summary_has_every_column_for_all_and_each_category(noisy):
    metrics = [FID(Colours()), Redness(Colours()), SegCons(ColourSegmenter())]
    scores = score(noisy, metrics)
    lines = summarise(scores, metrics)
    groups = [ALL, *sorted(scores.table["category"].unique())]
    wanted = ["fid", "redness", "seg_cons", "seg_cons_uniform", "seg_cons_area"]
    assert [(line.category, line.column) for line in lines] == [(g, c) for g in groups for c in wanted]
    by_mean = scores.table.groupby("category")["redness"].mean()
    for line in lines:
        if line.column == "redness" and line.category != ALL:
            assert line.value == pytest.approx(by_mean[line.category])


def test_summary_is_json_and_recomputes_from_the_files(noisy, tmp_path):
    metrics = [FID(Colours()), Redness(Colours())]
    scores = score(noisy, metrics)
    lines = summarise(scores, metrics)
    json.dumps([asdict(line) for line in lines], allow_nan=False)
    scores.table.to_parquet(tmp_path / "scores.parquet")
    again = type(scores)(pd.read_parquet(tmp_path / "scores.parquet"), scores.features)
    assert summarise(again, metrics) == lines


def test_set_metric_has_a_jackknife_interval_on_a_large_set(tmp_path):
    rng = np.random.default_rng(0)
    shades = rng.integers(0, 200, (60, 2))
    made = pairs(tmp_path, [picture(a) for a in shades[:, 0]], [picture(b) for b in shades[:, 1]])
    metrics = [FID(Colours())]
    whole = summarise(score(made, metrics), metrics)[0]
    assert whole.n == 60 and 0 <= whole.low <= whole.value <= whole.high


def test_jpeg_warns(tmp_path):
    Image.fromarray(picture(9)).save(tmp_path / "x.jpg")
    with pytest.warns(UserWarning, match="is a JPEG"):
        read_rgb(tmp_path / "x.jpg")


def test_transparency_is_dropped(tmp_path):
    Image.fromarray(picture(9)).convert("RGBA").save(tmp_path / "x.png")
    assert read_rgb(tmp_path / "x.png").shape == (8, 8, 3)


@pytest.mark.parametrize("content", [None, b"not an image"])
def test_unreadable_image_is_a_user_error(tmp_path, content):
    if content:
        (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match="cannot read"):
        read_rgb(tmp_path / "x.png")


def test_nothing_to_score_is_a_user_error():
    with pytest.raises(UserError, match="nothing to score"):
        score([], [])
