"""Faces: how they are searched for, which one counts, and InsightFace itself over fake networks."""

import numpy as np
import pytest
import torch

from spf_bench.errors import UserError
from spf_bench.metrics.identity import FaceIdentity, box_iou
from spf_bench.metrics.insight import ATTEMPTS, MOST, FaceEncoder, search
from tests.bench.metrics.stand_ins import batch

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)
LANDMARKS = np.array([[-2, -2], [2, -2], [0, 0], [-2, 2], [2, 2]], np.float32)


class ColourPack:
    """Finds plain squares on black and knows them by colour; sees only what is small enough for its size.

    Args:
        largest: Side of the largest square seen at each detector size, as a share of the image.
    """

    width = 3

    def __init__(self, **largest: float) -> None:
        self.largest, self.asked = {int(key[1:]): value for key, value in largest.items()}, []

    def find(self, bgr, size):
        self.asked.append((size, bgr.shape[0]))
        boxes = [_box(bgr, colour[::-1]) for colour in (RED, BLUE, GREEN)]
        seen = [b for b in boxes if b is not None and b[2] - b[0] <= self.largest.get(size, 1.0) * bgr.shape[0]]
        centres = [np.array([b[0] + b[2], b[1] + b[3]]) / 2 for b in seen]
        points = [centre + LANDMARKS for centre in centres]
        return np.array(seen, np.float32).reshape(-1, 4), np.array(points, np.float32).reshape(-1, 5, 2)

    def embed(self, bgr, landmarks):
        x, y = landmarks[2].astype(int)
        return bgr[y, x, ::-1].astype(np.float32)


def _box(bgr, colour):
    rows, columns = np.nonzero((bgr == colour).all(-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else None


def scene(*squares: tuple[tuple[int, int, int], int, int, int]) -> np.ndarray:
    image = np.zeros((64, 64, 3), np.uint8)
    for colour, x, y, side in squares:
        image[y : y + side, x : x + side] = colour
    return image


def identity(pack, originals, customs):
    return FaceIdentity(FaceEncoder(pack)).score(batch(originals, customs))


def test_first_attempt_is_640_and_enough():
    pack = ColourPack()
    attempt, boxes, _ = search(pack, scene((RED, 8, 8, 16))[..., ::-1])
    assert (attempt, boxes.tolist(), pack.asked) == (0, [[8, 8, 24, 24]], [(640, 64)])


def test_attempts_follow_the_protocol():
    assert ATTEMPTS == ((640, 0.0), (320, 0.0), (128, 0.0), (640, 0.25))
    pack = ColourPack(s640=0.5, s320=0.5, s128=0.5)
    attempt, boxes, landmarks = search(pack, scene((RED, 8, 10, 40))[..., ::-1])
    assert pack.asked == [(640, 64), (320, 64), (128, 64), (640, 96)]
    assert attempt == 3 and boxes.tolist() == [[8, 10, 48, 50]]  # in the image, not in its border
    assert landmarks[0, 2].tolist() == [28, 30]


def test_a_face_nowhere():
    attempt, boxes, landmarks = search(ColourPack(), scene())
    assert attempt == -1 and boxes.shape == (0, 4) and landmarks.shape == (0, 5, 2)


def test_scores_of_found_lost_and_absent_faces():
    face, other, blank = scene((RED, 8, 8, 16)), scene((BLUE, 8, 8, 16)), scene()
    scores = identity(ColourPack(), [face, face, face, blank], [face, other, blank, face])
    nan = torch.nan
    expected = {
        "id": [1, 0, 0, nan],
        "id_detected": [1, 0, nan, nan],
        "id_found": [1, 1, 0, 1],
        "id_faces": [1, 1, 0, 1],
        "id_retry": [0, 0, nan, 0],
    }
    assert list(scores) == list(expected)
    for key, values in expected.items():
        torch.testing.assert_close(scores[key], torch.tensor(values, dtype=torch.float32), equal_nan=True, msg=key)


def test_half_the_faces_lost():
    face, blank = scene((RED, 8, 8, 16)), scene()
    scores = identity(ColourPack(), [face] * 4, [face, blank] * 2)
    assert scores["id_found"].mean() == 0.5 and scores["id"].mean() == 0.5
    assert scores["id_detected"].nanmean() == 1


def test_a_retry_is_told():
    pack = ColourPack(s640=0.3)
    close, far = scene((RED, 8, 8, 40)), scene((RED, 8, 8, 16))
    assert identity(pack, [far, far], [close, far])["id_retry"].tolist() == [1, 0]


def test_largest_face_of_the_original_and_the_nearest_of_the_custom():
    original = scene((RED, 4, 4, 20), (BLUE, 40, 40, 8))
    custom = scene((BLUE, 30, 30, 30), (RED, 6, 4, 18))
    scores = identity(ColourPack(), [original, original], [custom, scene((BLUE, 30, 30, 30))])
    assert scores["id"].tolist() == [1, 0]  # red lies where red was; without it, the largest there is
    assert scores["id_faces"].tolist() == [2, 1]


def test_outputs_are_padded_to_the_most_faces():
    seen = FaceEncoder(ColourPack()).encode(np.stack([scene((RED, 4, 4, 20), (BLUE, 40, 40, 8)), scene()]))
    assert seen["identity"].shape == (2, MOST, 3) and seen["boxes"].shape == (2, MOST, 4)
    assert seen["identity"][0, :2].tolist() == [[1, 0, 0], [0, 0, 1]] and seen["identity"][0, 2:].isnan().all()
    assert seen["faces"].tolist() == [2, 0] and seen["attempt"].tolist() == [0, -1]


def test_box_iou():
    one = torch.tensor([[[0.0, 0, 2, 2]]])
    others = torch.tensor([[[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [torch.nan] * 4]])
    assert box_iou(one, others)[0].nan_to_num(-1).tolist() == pytest.approx([1, 1 / 3, 0, -1])


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="incomplete") as caught:
        FaceEncoder.from_weights(tmp_path, "cpu")
    assert [p.subject for p in caught.value.problems] == ["det_10g.onnx", "w600k_r50.onnx"]


@pytest.fixture(scope="module")
def fake_pack(tmp_path_factory):
    """A pack whose detector finds red blobs and whose recogniser averages patches."""
    pytest.importorskip("insightface", reason="needs insightface", exc_type=Exception)
    from tests.bench.metrics.fake_faces import write_pack

    return write_pack(tmp_path_factory.mktemp("pack"))


def test_insightface_finds_aligns_and_recognises(fake_pack):
    encoder = FaceEncoder.from_weights(fake_pack, "cpu")
    textured = np.random.default_rng(0).integers(0, 90, (64, 64, 3), dtype=np.uint8)
    face = textured.copy()
    face[28:32, 20:24] = RED
    swapped = np.ascontiguousarray(face[..., ::-1])
    other = np.random.default_rng(1).integers(0, 90, (64, 64, 3), dtype=np.uint8)
    other[28:32, 20:24] = RED
    scores = FaceIdentity(encoder).score(batch([face] * 4, [face, other, swapped, textured]))
    assert scores["id"][0].item() == pytest.approx(1, abs=1e-6)
    assert 0.1 < scores["id"][1] < 0.99
    assert scores["id_found"].tolist() == [1, 1, 0, 0]  # the wrong order of channels would find the swapped one
    assert scores["id_faces"].tolist() == [1, 1, 0, 0]
    seen = encoder.encode(face[None])
    assert seen["identity"].shape == (1, MOST, 512) and seen["attempt"].item() == 0
    left, top, right, bottom = seen["boxes"][0, 0].tolist()
    assert left < 22 < right and top < 30 < bottom


def test_insightface_as_its_own_front_does_it(fake_pack):
    from insightface.app import FaceAnalysis

    image = np.random.default_rng(0).integers(0, 90, (64, 64, 3), dtype=np.uint8)
    image[28:32, 20:24] = RED
    front = FaceAnalysis(
        str(fake_pack), allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"]
    )
    front.prepare(ctx_id=0, det_thresh=0.5, det_size=(640, 640))
    (theirs,) = front.get(np.ascontiguousarray(image[..., ::-1]))
    ours = FaceEncoder.from_weights(fake_pack, "cpu").encode(image[None])
    np.testing.assert_allclose(ours["identity"][0, 0], theirs.normed_embedding, atol=1e-6)
    np.testing.assert_allclose(ours["boxes"][0, 0], theirs.bbox, atol=1e-4)


def test_insightface_refuses_other_files(fake_pack, tmp_path):
    for name in ("det_10g.onnx", "w600k_r50.onnx"):
        (tmp_path / name).write_bytes((fake_pack / "w600k_r50.onnx").read_bytes())
    with pytest.raises(UserError, match=r"det_10g\.onnx is no network for detection"):
        FaceEncoder.from_weights(tmp_path, "cpu")
    (tmp_path / "det_10g.onnx").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"det_10g\.onnx cannot be read"):
        FaceEncoder.from_weights(tmp_path, "cpu")


def test_asking_for_cuda_without_it_is_told(fake_pack):
    with pytest.warns(UserWarning, match="faces are found on the CPU"):
        pack = FaceEncoder.from_weights(fake_pack, "cuda").pack
    assert pack.provider == "CPUExecutionProvider"
