"""LoRA as a method of the benchmark."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.adapted import CODE, Adapted
from baselines.lora.settings import LoRASettings
from spf_bench.method import TrainJob
from spf_bench.suite import Preset, Suite

if TYPE_CHECKING:
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage

CHOICE = ("ranks", "choose_on", "choose_seed")


class LoRA(Adapted):
    """Low-rank additions to all attention projections, alpha = rank."""

    name = "lora"
    title = "LoRA"
    source = "arXiv:2106.09685"
    code = (*CODE, "baselines.lora", "baselines.search")
    own = LoRASettings
    check_with = ("rank=4",)  # the best one would be searched for

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings; of how a rank is chosen only where one is."""
        config = super().config(preset)
        return {key: value for key, value in config.items() if config["rank"] is None or key not in CHOICE}

    def preflight(self, suite: Suite, preset: Preset) -> None:
        """Refuse to choose a rank where the suite cannot compare them."""
        from baselines.lora.ranks import check

        if self.settings(preset)[1].rank is None:
            check(suite)

    def train(self, job: TrainJob) -> Path:
        """Return the folder of the trained UNet, at the chosen rank where none is given."""
        _, own = self.settings(job.preset)
        if own.rank is not None:
            return super().train(job)
        return self.at(self.chosen(job, own)).train(job)

    def at(self, rank: int) -> "LoRA":
        """Return the same method at one rank."""
        return self.with_changes([f"rank={rank}"])

    def chosen(self, job: TrainJob, own: LoRASettings) -> int:
        """Return the best rank; the curve stands in the record, and is made once for all seeds."""
        from baselines.lora.ranks import choose, validation_of

        def build(folder: Path) -> dict[str, Any]:
            return choose(job, {rank: self.at(rank) for rank in own.ranks}, own.choose_seed, own.choose_on)

        key = {**self.config(job.preset), "validation": validation_of(job.suite).sha256}
        job.artifacts.get("lora-rank", key, build)
        return int(job.artifacts.used["lora-rank"]["rank"])

    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: LoRASettings) -> "NaiveStage":
        """Return the stage that trains the additions."""
        from baselines.lora.stage import LoRAStage, add
        from spf_train.prediction import Diffusion

        unet = add(pipe.unet, own, job.seed)
        return LoRAStage(unet, Diffusion.from_scheduler(pipe.scheduler), None, how.min_snr_gamma)
