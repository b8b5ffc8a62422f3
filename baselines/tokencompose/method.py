"""TokenCompose as a method of the benchmark."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.adapted import CODE, Adapted
from baselines.tokencompose.settings import TokenComposeSettings
from spf_bench.errors import UserError
from spf_bench.files.store import folder_sha256
from spf_bench.method import TrainJob
from spf_bench.suite import Preset, Suite

if TYPE_CHECKING:
    from baselines.tokencompose.providers import MaskProvider
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage


@cache
def content(folder: str) -> str:
    """Return the hash of a folder of masks; raises UserError if there is none."""
    if not Path(folder).is_dir():
        raise UserError(f"no such folder: {folder}", "it should hold masks", "check --set masks=FOLDER")
    return folder_sha256(Path(folder))


class TokenCompose(Adapted):
    """Naive fine-tuning, and two losses that hold the attention of nouns to where they are."""

    name = "tokencompose"
    title = "TokenCompose"
    source = "arXiv:2312.03626"
    code = (*CODE, "baselines.tokencompose")
    own = TokenComposeSettings

    def masks(self, job: TrainJob, own: TokenComposeSettings) -> "MaskProvider":
        """Return where masks come from; override it to ground a suite of your own."""
        from baselines.tokencompose.providers import provider_for

        return provider_for(job, own.masks, own.face_words)

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings, and what the folder of masks holds."""
        config = super().config(preset)
        return config if config["masks"] is None else {**config, "masks_sha256": content(config["masks"])}

    def preflight(self, suite: Suite, preset: Preset) -> None:
        """Refuse to train without masks, unless a class of its own says where they come from, or on a single file."""
        from baselines.tokencompose.providers import check

        if type(self).masks is TokenCompose.masks:
            check(suite, self.settings(preset)[1].masks)
        if suite.pipeline.is_file():
            why = "it reads tokenizer and UNet settings from files of their own"
            fix = "save it as a folder: StableDiffusionPipeline.from_single_file(FILE).save_pretrained(DIR)"
            raise UserError(f"TokenCompose cannot start from {suite.pipeline}", why, fix)

    def train(self, job: TrainJob) -> Path:
        """Return the folder of the trained UNet; masks are prepared first, where they are not there yet."""
        self.regions(job)
        return super().train(job)

    def regions(self, job: TrainJob) -> Path:
        """Return the folder of the training set's nouns and regions, at the resolutions of the UNet's attention.

        Raises:
            UserError: There are no masks, or none that a caption has a noun for.
        """
        from spf_bench.files.store import write_json

        _, own = self.settings(job.preset)
        key = {"antialias": own.antialias, "face_words": own.face_words, "seed": job.seed}
        key["masks"] = None if own.masks is None else content(own.masks)

        def build(folder: Path) -> dict[str, Any]:
            facts = self._ground(job, own, folder)
            write_json(folder / "counts.json", facts)
            return facts

        return job.artifacts.get("masks", key, build)

    def _ground(self, job: TrainJob, own: TokenComposeSettings, folder: Path) -> dict[str, Any]:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTokenizer

        from baselines.tokencompose.attention import resolutions
        from baselines.tokencompose.grounding import ground

        provider, task = self.masks(job, own), job.progress.task("masks", len(job.samples))
        tokenizer = CLIPTokenizer.from_pretrained(job.pipeline / "tokenizer")
        sides = resolutions(UNet2DConditionModel.load_config(job.pipeline / "unet"))
        size, own_rule = job.suite.image_size, own.antialias
        found, facts = ground(job.samples, provider, tokenizer, size, sides, own_rule, task.update)
        if not facts["grounded"]:
            why = f"of {len(job.samples)} images none has a mask for a noun of its caption: {facts}"
            raise UserError("TokenCompose has nothing to ground", why, "check the ids and nouns of the masks")
        found.save(folder)
        return {**provider.facts, **facts}

    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: TokenComposeSettings) -> "NaiveStage":
        """Return the stage that trains all weights with both losses."""
        from baselines.tokencompose.grounding import Grounding
        from baselines.tokencompose.stage import GroundedStage
        from spf_train.prediction import Diffusion

        diffusion, grounding = Diffusion.from_scheduler(pipe.scheduler), Grounding.load(self.regions(job))
        return GroundedStage(pipe.unet, diffusion, grounding, own.w_token, own.w_pixel, how.min_snr_gamma)
