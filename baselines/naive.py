"""Stage 1 of SPF-Portrait alone: all UNet weights, the complete text, the plain diffusion loss."""

from pathlib import Path
from typing import Any

from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset


class Naive(Method):
    """Naive fine-tuning: reaches the target and pollutes whatever else the training images share."""

    name = "naive"
    title = "Naive fine-tuning"
    source = "Sec. 3.1 of arXiv:2504.00396"
    trains = True
    code = ("spf_train", "baselines.training")

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings of stage 1."""
        from baselines.training import config_of

        return {"stage1": config_of(preset).to_dict()["stage1"]}

    def train(self, job: TrainJob) -> Path:
        """Return the folder of stage 1."""
        from baselines.training import naive_stage

        return naive_stage(job)
