"""Stage 1 of SPF-Portrait alone: all UNet weights, the complete text, the plain diffusion loss."""

from pathlib import Path
from typing import Any

from spf_bench.errors import UserError
from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset, Suite


class Naive(Method):
    """Naive fine-tuning: reaches the target and pollutes whatever else the training images share."""

    name = "naive"
    title = "Naive fine-tuning"
    source = "Sec. 3.1 of arXiv:2504.00396"
    trains = True
    code = ("spf_train", "baselines.training", "baselines.samples")
    configurable = True

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings of stage 1."""
        from baselines.training import settings_of

        if foreign := [change for change in self.changes if not change.startswith(("stage1.", "log."))]:
            raise UserError(f"naive fine-tuning has no {foreign[0].split('=')[0]}", "it is stage 1 alone", "use spf")
        return {"stage1": settings_of(preset, self.changes)["stage1"]}

    def accept(self, folder: Path, suite: Suite) -> Path:
        """Return stage 1 of a training, or any pipeline or UNet that nobody says another method made."""
        from baselines.checkpoint import accepted

        return accepted(self, folder, suite)

    def train(self, job: TrainJob) -> Path:
        """Return the folder of stage 1."""
        from baselines.training import config_of, naive_stage

        return naive_stage(job, config_of(job.preset, self.changes, job.seed))
