"""Each distinct image that somebody asks about is seen once, and what was seen of originals is kept."""

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.features import Encoder, pair, pixel_hash
from tests.bench.metrics.stand_ins import Colours, Given, Letters, batch, noise_pictures, picture


def keep(store: FeatureStore, encoder: Encoder, current: Batch) -> None:
    """Ask about a batch's originals, and keep the answers."""
    current.original.of(encoder)
    store.add(encoder, current.original)


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
    current = batch(images, others, store=store)
    keep(store, first, current)
    store.save()
    again = Colours()
    mixed = batch(images, [*others[:2], images[0]], store=FeatureStore(tmp_path))
    assert torch.equal(mixed.original.of(again)["pooled"], current.original.of(first)["pooled"]) and not again.shown
    mixed.custom.of(again)
    assert again.shown == 2  # the two customised images nobody had seen
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_nothing_new_needs_no_network(tmp_path, monkeypatch):
    images, encoder, store = noise_pictures(2), Colours(), FeatureStore(tmp_path)
    current = batch(images, images, store=store)
    keep(store, encoder, current)
    monkeypatch.setattr(encoder, "encode", None)
    again = batch(images, images[::-1], store=store).custom.of(encoder)["pooled"]
    assert torch.equal(again, current.original.of(Colours())["pooled"].flip(0))


def test_store_is_not_read_with_other_weights(tmp_path):
    images = noise_pictures(2)
    encoder, store = Colours(), FeatureStore(tmp_path)
    keep(store, encoder, batch(images, images))
    store.save()
    retrained = Colours()
    retrained.digest = "other weights"
    assert not FeatureStore(tmp_path).of(retrained) and len(FeatureStore(tmp_path).of(encoder)) == 2


def test_maps_are_not_stored(tmp_path):
    encoder, store = Given(stage0=torch.zeros(2, 1, 4, 4)), FeatureStore(tmp_path)
    keep(store, encoder, batch([picture(0)], [picture(1)]))
    store.save()
    assert not list(tmp_path.iterdir())


def test_store_is_not_read_by_other_code(tmp_path, monkeypatch):
    images, encoder, store = noise_pictures(2), Colours(), FeatureStore(tmp_path)
    keep(store, encoder, batch(images, images))
    store.save()
    monkeypatch.setattr("spf_bench.metrics.feature_store.code_sha256", lambda module: f"{module}, changed")
    assert not FeatureStore(tmp_path).of(encoder)


def test_two_processes_lose_nothing_of_each_other(tmp_path):
    encoder, stores = Colours(), [FeatureStore(tmp_path) for _ in range(2)]
    for seed, store in enumerate(stores):
        keep(store, encoder, batch(noise_pictures(2, seed=seed), noise_pictures(2, seed=seed), store=store))
    for store in stores:
        store.save()
    assert len(FeatureStore(tmp_path).of(encoder)) == 4


def test_an_image_nobody_asks_about_passes_no_network_and_is_not_kept(tmp_path):
    encoder, store = Colours(), FeatureStore(tmp_path)
    current = batch(noise_pictures(3), noise_pictures(3, seed=1), store=store)
    current.custom.of(encoder)
    store.add(encoder, current.original)
    store.save()
    assert encoder.shown == 3 and not list(tmp_path.iterdir())


def test_what_is_said_of_an_original_and_its_text_is_never_asked_again(tmp_path):
    images, texts = [picture(red) for red in (10, 20, 10)], ["a beard", "a hat", "a beard"]
    first, store = Letters(), FeatureStore(tmp_path)
    current = batch(images, [picture(30)] * 3, store=store)
    expected = current.original.read(first, texts)["score"]
    assert expected.tolist() == [17.0, 25.0, 17.0] and first.shown == 2  # the first and the last are one
    current.custom.read(first, texts)
    store.add(first, current.original)
    store.save()
    again = Letters()
    known = batch(images, [picture(30)] * 3, store=FeatureStore(tmp_path))
    assert torch.equal(known.original.read(again, texts)["score"], expected) and not again.shown
    known.original.read(again, ["a hat", "a hat", "a beard"])
    assert again.shown == 1  # the same image, another text
    known.custom.read(again, texts)
    assert again.shown == 3  # customised images are not kept


def test_an_encoder_names_the_code_around_it(tmp_path, monkeypatch):
    class Wide(Colours):
        code = ("spf_bench.metrics.mps", "spf_bench.metrics.cross_modal")

    monkeypatch.setattr("spf_bench.metrics.feature_store.code_sha256", lambda *modules: " ".join(modules))
    paths = {
        name: FeatureStore(tmp_path)._path(encoder).name for name, encoder in {"": Colours(), "wide": Wide()}.items()
    }
    assert paths[""] != paths["wide"]
    monkeypatch.setattr(Wide, "code", ("tests.bench.metrics.stand_ins",))
    assert FeatureStore(tmp_path)._path(Colours()).name == paths[""]
    assert FeatureStore(tmp_path)._path(Wide()).name == paths[""]
