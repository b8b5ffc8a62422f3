"""SPF-Portrait: naive fine-tuning, then dual-path contrastive learning of the cross-attention weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset, Suite
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from spf_bench.models.backbone import Backbone


class SPF(Method):
    """Both stages of the paper, or the one that is left when the other is set to null."""

    name = "spf"
    title = "SPF"
    source = "arXiv:2504.00396"
    trains = True
    code = ("spf_train", "baselines.training", "baselines.samples")
    configurable = True

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings of both stages and of the losses."""
        from baselines.training import settings_of

        settings = settings_of(preset, self.changes)
        if settings["stage1"] is None and settings["stage2"] is None:
            raise UserError("there is nothing to train", "stage1 and stage2 are both null", "leave one of them")
        return settings

    def train(self, job: TrainJob) -> Path:
        """Return the folder of stage 2, which starts from stage 1, the naive baseline's own."""
        from baselines.training import config_of, dual_path_stage, naive_stage

        config = config_of(job.preset, self.changes, job.seed)
        start = None if config.stage1 is None else naive_stage(job, config)
        return start if start is not None and config.stage2 is None else dual_path_stage(job, config, start)

    def accept(self, folder: Path, suite: Suite) -> Path:
        """Return the last stage of a training of SPF, or any pipeline or UNet that nobody says another method made."""
        from baselines.checkpoint import accepted

        return accepted(self, folder, suite)

    def load(self, backbone: "Backbone", checkpoint: Path | None) -> None:
        """Denoise with the trained UNet, and with its adapter where what was trained is one."""
        from spf_train.variants import load

        super().load(backbone, checkpoint)
        if checkpoint is not None:
            load(backbone.unet, checkpoint)

    def sample(self, backbone: "Backbone", triples: Sequence[Triple], noise: "Tensor") -> "Tensor":
        """Return the images; an adapter reads the target text once more, by itself."""
        from spf_train.adapter import has_adapter, with_target

        if not has_adapter(backbone.unet):
            return super().sample(backbone, triples, noise)
        text, target = self.embed(backbone, triples), backbone.encode([triple.target for triple in triples])
        target = target * target.new_tensor([bool(triple.target) for triple in triples])[:, None, None]
        empty = backbone.encode([backbone.sampling.negative_prompt]).expand_as(text)
        return backbone.render(with_target(text, target), noise, with_target(empty))
