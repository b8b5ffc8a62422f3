"""SVDiff as a method of the benchmark."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baselines.adapted import CODE, Adapted, Settings
from spf_bench.method import TrainJob

if TYPE_CHECKING:
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage


@dataclass(frozen=True)
class SVDiffSettings(Settings):
    """The learning rate alone: so few numbers, on the scale of singular values, need a much higher one."""

    lr_factor: float = 30.0


class SVDiff(Adapted):
    """Shifts of the singular values of every linear and convolution weight."""

    name = "svdiff"
    title = "SVDiff"
    source = "arXiv:2303.11305"
    code = (*CODE, "baselines.svdiff")
    own = SVDiffSettings

    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: SVDiffSettings) -> "NaiveStage":
        """Return the stage that trains the shifts."""
        from baselines.svdiff.spectrum import SVDiffStage, shift_spectra
        from spf_train.prediction import Diffusion

        shift_spectra(pipe.unet)
        return SVDiffStage(pipe.unet, Diffusion.from_scheduler(pipe.scheduler), None, how.min_snr_gamma)
