"""AdaLoRA as a method of the benchmark."""

from typing import TYPE_CHECKING, Any

from baselines.adalora.settings import AdaLoRASettings
from baselines.adapted import CODE, Adapted
from spf_bench.method import TrainJob

if TYPE_CHECKING:
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage


class AdaLoRA(Adapted):
    """Low-rank additions to all attention projections; the ranks go where they matter most."""

    name = "adalora"
    title = "AdaLoRA"
    source = "arXiv:2303.10512"
    code = (*CODE, "baselines.adalora")
    own = AdaLoRASettings

    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: AdaLoRASettings) -> "NaiveStage":
        """Return the stage that trains the additions."""
        from baselines.adalora.stage import AdaLoRAStage
        from spf_train.prediction import Diffusion

        diffusion, total = Diffusion.from_scheduler(pipe.scheduler), how.total_steps(len(job.samples))
        return AdaLoRAStage(pipe.unet, diffusion, own, total, job.seed, how.min_snr_gamma)
