"""Identity: what a missing face does to a score."""

import torch

from spf_bench.metrics.identity import Identity
from tests.bench.metrics.stand_ins import Given, batch, picture

NONE = [float("nan")] * 2
FACES = torch.tensor([[1.0, 0.0], [0.6, 0.8], NONE])


def test_cosine_and_missing_faces():
    original = [picture(n) for n in (0, 0, 0, 2, 2)]
    custom = [picture(n) for n in (0, 1, 2, 0, 2)]
    scores = Identity(Given(identity=FACES)).score(batch(original, custom))
    nan = torch.nan
    torch.testing.assert_close(scores["id"], torch.tensor([1.0, 0.6, 0.0, nan, nan]), equal_nan=True)
    detected = torch.tensor([1.0, 0.6, nan, nan, nan])
    torch.testing.assert_close(scores["id_detected"], detected, equal_nan=True)
