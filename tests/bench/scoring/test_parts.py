"""What a kill leaves, and what is made of it."""

import pandas as pd
import pytest
import torch

from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.fid import FID
from spf_bench.scoring import one_pass as scoring
from spf_bench.scoring.one_batch import Pair
from spf_bench.scoring.one_pass import score
from spf_bench.scoring.parts import Parts
from tests.bench.metrics.stand_ins import Colours
from tests.bench.scoring.test_one_pass import Redness


@pytest.fixture
def pairs(theirs):
    """Six pairs on disk."""
    return [Pair(t, theirs.originals / f"{t.id}.png", theirs.images / f"{t.id}.png") for t in theirs.triples]


class Killed(BaseException):
    """What no code expects."""


def interrupted(pairs, folder, monkeypatch, after):
    """Score until ``after`` batches of two were done and written, then die without another word."""
    monkeypatch.setattr(scoring, "OFTEN", 0.0)
    encoder, save, written = Colours(), scoring._save, []

    def dying(store, journal):
        if len(written) < after:
            written.append(save(store, journal))
        else:
            raise Killed

    monkeypatch.setattr(scoring, "_save", dying)
    with pytest.raises(Killed):
        score(pairs, [FID(encoder)], FeatureStore(folder / "f"), 2, journal=Parts(folder / "parts", "a"))
    monkeypatch.setattr(scoring, "_save", save)


def test_batches_before_a_kill_are_not_measured_again(pairs, tmp_path, monkeypatch):
    interrupted(pairs, tmp_path, monkeypatch, after=2)
    encoder, parts = Colours(), Parts(tmp_path / "parts", "a")
    found = score(pairs, [FID(encoder)], FeatureStore(tmp_path / "f"), 2, journal=parts)
    assert encoder.shown == 4  # the last batch's two pairs
    whole = score(pairs, [FID(Colours())], batch=2)
    pd.testing.assert_frame_equal(found.table, whole.table)
    assert all(torch.equal(found.features[key], whole.features[key]) for key in whole.features)
    parts.clear()
    assert not (tmp_path / "parts").exists()


def test_features_of_every_known_batch_are_kept(pairs, tmp_path, monkeypatch):
    interrupted(pairs, tmp_path, monkeypatch, after=2)
    assert len(FeatureStore(tmp_path / "f").of(Colours())) == 4


@pytest.mark.parametrize("change", ["scoring", "image", "text"])
def test_a_part_of_something_else_is_not_taken(pairs, tmp_path, change):
    parts = Parts(tmp_path / "parts", "a")
    encoder = Colours()
    score(pairs, [Redness(encoder)], journal=parts)
    assert parts.known(pairs) is not None
    if change == "scoring":
        parts = Parts(tmp_path / "parts", "b")
    elif change == "image":
        pairs[0].custom.write_bytes(pairs[1].custom.read_bytes())
    else:
        pairs[0] = Pair(make_other(pairs[0].triple), pairs[0].original, pairs[0].custom)
    assert parts.known(pairs) is None


def make_other(triple):
    """The same triple asking for something else."""
    return type(triple).from_dict({**triple.to_dict(), "target": "with freckles"})
