"""Published checkpoints: where each comes from, where it lies here, and whether it is what upstream released."""

from spf_bench.weights.check import Status, digest, path, require, status
from spf_bench.weights.checkpoint import Checkpoint
from spf_bench.weights.table import CHECKPOINTS, chosen

__all__ = ["CHECKPOINTS", "Checkpoint", "Status", "chosen", "digest", "path", "require", "status"]
