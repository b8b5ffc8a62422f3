"""SAM: the same masks as the authors' predictor and generator, kept small, and the whole of Seg-Cons over it."""

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics import sam as sam_module
from spf_bench.metrics.bits import pack, unpack
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.metrics.sam import SamEncoder, SamSegmenter
from spf_bench.metrics.segcons import SegCons, grid
from spf_bench.metrics.segcons_hungarian import SegConsHungarian
from tests.bench.metrics.photograph import photograph
from tests.bench.metrics.stand_ins import batch, noise_pictures

anything = pytest.importorskip("segment_anything", reason="needs segment-anything and torchvision", exc_type=Exception)


@pytest.fixture(scope="module")
def model():
    from tests.bench.metrics.tiny_sam import tiny_sam

    return tiny_sam()


@pytest.fixture(scope="module")
def image():
    return photograph(48)


def test_masks_are_the_predictors(model, image):
    seen = SamEncoder(model, side=4).encode(image[None])
    masks = unpack(seen["masks"])
    predictor = anything.SamPredictor(model)
    predictor.set_image(image)
    for k, point in enumerate(grid(4).numpy()):
        logits, quality, _ = predictor.predict(
            point[None] * 48, np.ones(1, int), multimask_output=True, return_logits=True
        )
        np.testing.assert_array_equal(masks[0, k], logits > 0)
        np.testing.assert_allclose(seen["iou"][0, k], quality, atol=1e-5)
        stability = [(m > 1).sum() / max((m > -1).sum(), 1) for m in logits]
        np.testing.assert_allclose(seen["stability"][0, k], stability, atol=1e-6)
    assert 0 < masks.float().mean() < 1


def test_tall_images_are_prompted_in_their_own_frame(model, image):
    tall = np.ascontiguousarray(image[:, 8:40])
    seen = SamEncoder(model, side=2).encode(tall[None])
    assert unpack(seen["masks"]).shape == (1, 4, 3, 48, 32)
    predictor = anything.SamPredictor(model)
    predictor.set_image(tall)
    expected, _, _ = predictor.predict(np.array([[0.75 * 32, 0.25 * 48]]), np.ones(1, int))
    np.testing.assert_array_equal(unpack(seen["masks"])[0, 1], expected)


def test_company_and_order_change_nothing(model, image):
    encoder = SamEncoder(model, side=2)
    pictures = np.stack([image, *noise_pictures(2, 48)])
    whole, single = encoder.encode(pictures), encoder.encode(pictures[:1])
    assert all(torch.equal(whole[key][0], single[key][0]) for key in whole)


@pytest.mark.parametrize("width", [16, 13])
def test_bits(width):
    masks = torch.rand(2, 3, 5, width, generator=torch.Generator().manual_seed(0)) > 0.5
    packed = pack(masks)
    assert packed.shape == (2, 3, 5, 2) and packed.dtype == torch.uint8
    assert torch.equal(unpack(packed)[..., :width], masks) and not unpack(packed)[..., width:].any()


def test_seg_cons_of_an_image_with_itself_and_with_others(model, image):
    metric = SegCons(SamSegmenter(SamEncoder(model)))
    scores = metric.score(batch([image] * 3, [image.copy(), image[::-1].copy(), noise_pictures(1, 48)[0]]))
    same, turned, noise = scores["seg_cons"].tolist()
    assert same == 100 and turned < 100 and noise < 100


def test_originals_are_never_segmented_twice(model, image, tmp_path, monkeypatch):
    metric = SegCons(SamSegmenter(SamEncoder(model, digest="a" * 64)))
    custom = noise_pictures(1, 48)[0]
    store = FeatureStore(tmp_path)
    first = batch([image], [custom], store=store)
    expected = metric.score(first)
    store.add(metric.encoders[0], first.original)
    looked = []
    look = SamEncoder._look
    monkeypatch.setattr(SamEncoder, "_look", lambda self, one: looked.append(one) or look(self, one))
    again = metric.score(batch([image], [custom], store=FeatureStore(tmp_path)))
    assert len(looked) == 1 and np.array_equal(looked[0], custom)
    assert {key: value.tolist() for key, value in again.items()} == {k: v.tolist() for k, v in expected.items()}


def test_other_points_are_refused(model):
    with pytest.raises(ValueError, match="grid of 4²"):
        SamSegmenter(SamEncoder(model, side=4)).propose({}, grid(8))


def nms_by_loops(boxes, scores, categories, iou_threshold):
    """torchvision's suppression, for machines where its compiled part does not load."""
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        a = boxes[i]
        for j in kept:
            b = boxes[j]
            same = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
            if same / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - same) > iou_threshold:
                break
        else:
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def test_regions_are_the_automatic_generators(model, image, monkeypatch):
    from spf_bench.metrics.sam_automatic import MOST, SamAutomaticEncoder, SamRegions

    monkeypatch.setattr(anything.automatic_mask_generator, "batched_nms", nms_by_loops)
    monkeypatch.setattr("spf_bench.metrics.segcons_hungarian.MAX_OVERLAP", 0.995)  # random masks fill the image
    large = np.kron(image, np.ones((2, 2, 1), np.uint8))
    theirs = anything.SamAutomaticMaskGenerator(model, points_per_side=6, box_nms_thresh=0.995).generate(large)
    smallest = 100 / 512**2 * large.shape[0] * large.shape[1]
    expected = {mask["segmentation"].tobytes() for mask in theirs if mask["area"] >= smallest}
    encoder = SamAutomaticEncoder(model, side=6)
    seen = encoder.encode(large[None])
    found = SamRegions(encoder).find({"regions": seen["regions"][0]})
    assert {mask.numpy().tobytes() for mask in found} == expected
    assert len(found) == len(expected) > 1 and seen["regions"].shape[1] == MOST


def test_hungarian_over_sam(model, image):
    from spf_bench.metrics.sam_automatic import SamAutomaticEncoder, SamRegions

    encoder = SamAutomaticEncoder.beside(SamEncoder(model, digest="a" * 64), side=4)
    metric = SegConsHungarian(SamRegions(encoder))
    same, turned = metric.score(batch([image] * 2, [image.copy(), image[::-1].copy()]))["seg_cons_hungarian"].tolist()
    assert same == 100 and turned < 100
    assert len(encoder.digest) == 64 and encoder.digest != "a" * 64


def test_a_file_is_loaded_in_its_own_size(model, image, tmp_path, monkeypatch):
    from tests.bench.metrics.tiny_sam import tiny_sam

    torch.save(model.state_dict(), tmp_path / "sam.pth")
    monkeypatch.setattr(sam_module, "SIZES", {32: "tiny"})
    monkeypatch.setitem(anything.sam_model_registry, "tiny", lambda: tiny_sam(seed=1))
    encoder = SamEncoder.from_weights(tmp_path / "sam.pth", "cpu", side=2)
    expected = SamEncoder(model, side=2).encode(image[None])
    assert torch.equal(encoder.encode(image[None])["masks"], expected["masks"]) and len(encoder.digest) == 64
    monkeypatch.undo()
    with pytest.raises(UserError, match="no SAM of a known size"):
        SamEncoder.from_weights(tmp_path / "sam.pth", "cpu")
