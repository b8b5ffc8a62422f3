"""KID: distance between two sets of images that a small number of images does not bias.

Paper: Bińkowski et al., arXiv:1801.01401. Weights: the TensorFlow Inception graph of 2015-12-05 (Apache-2.0) in
the paper suite. Range: about 0 and up, lower is better; being unbiased, it can fall below 0, and does for sets
that are closer to each other than two samples of one distribution, as paired sets are. No published table of
this benchmark has it. Values of other programs are means over subsets of 1000 images; this is their expectation,
over all pairs of images.
"""

from torch import Tensor

from spf_bench.metrics.base import Group, SetMetric, SetScore, unmeasured
from spf_bench.metrics.features import Encoder, Features

BLOCK = 2048  # rows of a kernel matrix at a time: 5,000 images would need 200 MB for each of three


class KID(SetMetric):
    """Squared maximum mean discrepancy under the kernel (x·y / D + 1)³ (Sec. 4 of arXiv:1801.01401).

    Args:
        encoder: The network.
        output: Which of its outputs, [B, D].
    """

    key, title, group = "kid", "KID", Group.preservation
    higher_is_better, bounds, decimals = False, (None, None), 4
    source = "arXiv:1801.01401"
    licence = "Apache-2.0"
    comparable = "no: not in the published table; elsewhere only with the same features"

    def __init__(self, encoder: Encoder, output: str = "pooled") -> None:
        self.encoders, self.output = (encoder,), output

    def features(self, images: Features) -> Tensor:
        """Return the features [B, D] of a batch."""
        return images.of(self.encoders[0])[self.output]

    def compare(self, original: Tensor, custom: Tensor) -> SetScore:
        """Return the unbiased estimate for two sets [N, D]; NaN where a feature is not finite."""
        if min(len(original), len(custom)) < 2:
            return SetScore(float("nan"), f"KID needs 2 images, there are {len(original)}")
        return unmeasured(original, custom) or SetScore(kernel_distance(original, custom))


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Return the unbiased squared MMD of two samples [N, D] and [M, D], N and M at least 2, in float64."""
    x, y = x.double(), y.double()
    (within_x, own_x), (within_y, own_y), (across, _) = _sums(x, x), _sums(y, y), _sums(x, y)
    n, m = len(x), len(y)
    mean_x, mean_y = (within_x - own_x) / (n * (n - 1)), (within_y - own_y) / (m * (m - 1))
    return mean_x + mean_y - 2 * across / (n * m)


def _sums(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the sums of the whole kernel matrix and of its diagonal."""
    whole = sum(float(_kernel(part @ y.T, x.shape[1]).sum()) for part in x.split(BLOCK))
    shared = min(len(x), len(y))
    return whole, float(_kernel((x[:shared] * y[:shared]).sum(1), x.shape[1]).sum())


def _kernel(products: Tensor, width: int) -> Tensor:
    base = products / width + 1
    return base * base * base  # ten times faster than pow
