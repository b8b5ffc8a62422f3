"""HPSv2: how much would people like this image for its text?

Paper: Wu et al., arXiv:2306.09341. Weights: HPS v2.1, an OpenCLIP ViT-H/14 (Apache-2.0), in the paper
suite, v2.0 on request; a small CLIP trained on synthetic preferences in the world. Range: -1 to 1, published
values .10 to .36, higher is better. Raw cosine without logit scale, where the authors' benchmark prints it
times 100; v2.0 and v2.1 are not comparable (the authors' `score` and `evaluate` default to different ones),
nor are values of different texts: read differences between methods on the same test cases. Images are resized
by PIL, not as tensors: the authors' tensor resize depends on torchvision's version.
"""

from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import TextImageEncoder
from spf_bench.metrics.hps_model import HPSModel

__all__ = ["HPS", "HPSModel", "HPSv20"]


class HPS(Metric):
    """Preference score of the customised image for the complete text."""

    key, title, group = "hps", "HPSv2", Group.overall
    higher_is_better, bounds, decimals = True, (-1.0, 1.0), 4
    source = "arXiv:2306.09341"
    licence = "Apache-2.0"
    comparable = "only v2.1 with v2.1; the published table does not say which it used"

    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder = encoder
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the raw cosines [B]."""
        return {self.key: (batch.custom.of(self.encoder)["image"] * self.encoder.texts(batch.prompts)).sum(-1)}


class HPSv20(HPS):
    """Preference score of the first release, for comparison with older tables."""

    key, title = "hps_v20", "HPSv2.0"
    comparable = "only v2.0 with v2.0; the published table does not say which it used"
