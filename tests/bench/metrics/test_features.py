"""Each distinct image is seen once, and what was seen of originals is kept."""

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics.features import FeatureStore, pair, pixel_hash
from tests.bench.metrics.stand_ins import Colours, Given, batch, noise_pictures, picture


def test_repeats_are_seen_once_and_rows_follow_the_images():
    encoder = Colours()
    original, custom = pair([picture(0), picture(51), picture(0)], [picture(0), picture(102), picture(51)])
    red = original.of(encoder)["pooled"][:, 0], custom.of(encoder)["pooled"][:, 0]
    assert encoder.shown == 3
    torch.testing.assert_close(torch.stack(red), torch.tensor([[0.0, 0.2, 0.0], [0.0, 0.4, 0.2]]))
    assert len(original) == 3


def test_equal_images_have_equal_features_to_the_bit():
    image = noise_pictures(1)[0]
    original, custom = pair([image, picture(3, 64)], [image.copy(), image])
    encoder = Colours()
    assert torch.equal(original.of(encoder)["pooled"][0], custom.of(encoder)["pooled"][0])


def test_images_of_two_sizes_are_a_user_error():
    with pytest.raises(UserError, match="differ in size"):
        pair([picture(size=8)], [picture(size=16)])


def test_hash_tells_shape_and_pixels_apart():
    flat = np.arange(48, dtype=np.uint8)
    images = [flat.reshape(4, 4, 3), flat.reshape(2, 8, 3), flat[::-1].reshape(4, 4, 3)]
    assert len({pixel_hash(image) for image in images}) == 3
    assert pixel_hash(images[0][:, ::-1]) == pixel_hash(np.ascontiguousarray(images[0][:, ::-1]))


def test_store_keeps_originals_between_runs(tmp_path):
    images, others = noise_pictures(3), noise_pictures(3, seed=1)
    first, store = Colours(), FeatureStore(tmp_path)
    expected = batch(images, others, store=store).original.of(first)["pooled"]
    store.add(first, batch(images, others, store=store).original)
    store.save()
    again = Colours()
    mixed = batch(images, [*others[:2], images[0]], store=FeatureStore(tmp_path))
    assert torch.equal(mixed.original.of(again)["pooled"], expected)
    assert again.shown == 2  # the two customised images nobody had seen
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_nothing_new_needs_no_network(tmp_path, monkeypatch):
    images, encoder, store = noise_pictures(2), Colours(), FeatureStore(tmp_path)
    current = batch(images, images, store=store)
    store.add(encoder, current.original)
    monkeypatch.setattr(encoder, "encode", None)
    again = batch(images, images[::-1], store=store).custom.of(encoder)["pooled"]
    assert torch.equal(again, current.original.of(Colours())["pooled"].flip(0))


def test_store_is_not_read_with_other_weights(tmp_path):
    images = noise_pictures(2)
    encoder, store = Colours(), FeatureStore(tmp_path)
    store.add(encoder, batch(images, images).original)
    store.save()
    retrained = Colours()
    retrained.digest = "other weights"
    assert not FeatureStore(tmp_path).of(retrained) and len(FeatureStore(tmp_path).of(encoder)) == 2


def test_maps_are_not_stored(tmp_path):
    encoder, store = Given(stage0=torch.zeros(2, 1, 4, 4)), FeatureStore(tmp_path)
    store.add(encoder, batch([picture(0)], [picture(1)]).original)
    store.save()
    assert not list(tmp_path.iterdir())


def test_store_is_not_read_by_other_code(tmp_path, monkeypatch):
    images, encoder, store = noise_pictures(2), Colours(), FeatureStore(tmp_path)
    store.add(encoder, batch(images, images).original)
    store.save()
    monkeypatch.setattr("spf_bench.metrics.features.code_sha256", lambda module: f"{module}, changed")
    assert not FeatureStore(tmp_path).of(encoder)


def test_two_processes_lose_nothing_of_each_other(tmp_path):
    encoder, stores = Colours(), [FeatureStore(tmp_path) for _ in range(2)]
    for seed, store in enumerate(stores):
        store.add(encoder, batch(noise_pictures(2, seed=seed), noise_pictures(2, seed=seed), store=store).original)
    for store in stores:
        store.save()
    assert len(FeatureStore(tmp_path).of(encoder)) == 4
