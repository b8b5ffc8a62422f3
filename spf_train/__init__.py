"""SPF-Portrait's two training stages (arXiv:2504.00396), for any Stable Diffusion pipeline."""

from spf_train.config import PRESETS, SPFConfig, StageConfig, TrainConfig
from spf_train.data import Sample
from spf_train.errors import ConfigError, NonFiniteLossError
from spf_train.train import train_stage1, train_stage2

__all__ = [
    "PRESETS",
    "ConfigError",
    "NonFiniteLossError",
    "SPFConfig",
    "Sample",
    "StageConfig",
    "TrainConfig",
    "train_stage1",
    "train_stage2",
]
