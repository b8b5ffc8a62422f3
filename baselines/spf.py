"""SPF-Portrait: naive fine-tuning, then dual-path contrastive learning of the cross-attention weights."""

from pathlib import Path
from typing import Any

from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset


class SPF(Method):
    """Both stages of the paper; stage 1 is the naive baseline's own."""

    name = "spf"
    title = "SPF"
    source = "arXiv:2504.00396"
    trains = True
    code = ("spf_train", "baselines.training")

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings of both stages and of the losses."""
        from baselines.training import config_of

        return {key: value for key, value in config_of(preset).to_dict().items() if key != "seed"}

    def train(self, job: TrainJob) -> Path:
        """Return the folder of stage 2, which starts from stage 1."""
        from baselines.training import dual_path_stage, naive_stage

        return dual_path_stage(job, naive_stage(job))
