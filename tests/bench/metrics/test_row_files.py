"""Large outputs of originals: kept one file an image, read bit for bit, and never computed twice."""

import numpy as np
import torch

from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.row_files import RowFiles
from tests.bench.metrics.stand_ins import Colours, batch, noise_pictures

ROW = {"masks": torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4), "iou": torch.tensor([[0.1, float("nan")]])}


class Slow(Colours):
    """An encoder whose outputs are large and slow to come by."""

    compact, bulky = False, True


def test_rows_come_back_bit_for_bit(tmp_path):
    rows = RowFiles(tmp_path / "sam")
    assert "a" not in rows and len(rows) == 0
    rows["a"] = ROW
    again = RowFiles(tmp_path / "sam")["a"]
    assert {key: (value.dtype, value.shape) for key, value in again.items()} == {
        key: (value.dtype, value.shape) for key, value in ROW.items()
    }
    assert all(value.numpy().tobytes() == ROW[key].numpy().tobytes() for key, value in again.items())
    assert list(rows) == ["a"]
    del rows["a"]
    assert "a" not in rows


def test_masks_shrink(tmp_path):
    rows = RowFiles(tmp_path)
    masks = torch.zeros(100, 64, 64, dtype=torch.bool)
    masks[:, 8:40, 8:40] = True
    rows["a"] = {"masks": masks}
    assert (tmp_path / "a.safetensors").stat().st_size < masks.numel() / 20
    assert torch.equal(rows["a"]["masks"], masks)


def test_an_unfinished_file_is_not_a_row(tmp_path):
    (tmp_path / ".a-x1y2.safetensors").write_bytes(b"half")
    assert not len(RowFiles(tmp_path))


def test_store_keeps_bulky_originals_and_no_others(tmp_path):
    originals, customs = noise_pictures(3), noise_pictures(3, seed=1)
    first, store = Slow(), FeatureStore(tmp_path)
    current = batch(originals, customs, store=store)
    expected = current.original.of(first)["pooled"], current.custom.of(first)["pooled"]
    store.add(first, current.original)  # not saved: a bulky row is on disk at once
    again = Slow()
    sides = batch(originals, [*customs[:2], originals[0]], store=FeatureStore(tmp_path))
    assert torch.equal(sides.original.of(again)["pooled"], expected[0])
    assert torch.equal(sides.custom.of(again)["pooled"][:2], expected[1][:2])
    assert again.shown == 2  # the customised images nobody kept
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 3


def test_store_reads_an_image_only_where_it_is_asked_for(tmp_path):
    images, store = noise_pictures(2), FeatureStore(tmp_path)
    encoder, current = Slow(), batch(images, images, store=store)
    current.original.of(encoder)
    store.add(encoder, current.original)
    kept = store.of(encoder)
    assert isinstance(kept, RowFiles) and len(kept) == 2
    np.testing.assert_array_equal(next(iter(kept.values()))["pooled"].shape, (3,))
