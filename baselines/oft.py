"""Orthogonal fine-tuning: every attention projection is turned, block by block, by a trained rotation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.adapted import CODE, Adapted, Settings
from spf_bench.method import TrainJob

if TYPE_CHECKING:
    from spf_train.config import StageConfig
    from spf_train.stages import NaiveStage


@dataclass(frozen=True)
class OFTSettings(Settings):
    """Size of the rotations; the paper turns four blocks a layer."""

    lr_factor: float = 1.0
    blocks: int = 4
    """Rotations a layer: each turns an equal share of its inputs; more blocks are fewer parameters."""
    eps: float | None = None
    """How far a rotation may go from none (COFT); None does not bound it."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Layers that are turned, by the end of their names."""

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        yield from super().rules()
        for name in ("blocks", "eps"):
            if (value := getattr(self, name)) is not None and value <= 0:
                yield name, "it must be above 0"
        if not self.targets:
            yield "targets", "there must be one at least"


class OFT(Adapted):
    """W R with R block-diagonal and orthogonal: angles between neurons stay as they were."""

    name = "oft"
    title = "OFT"
    source = "arXiv:2306.07280"
    code = (*CODE, "baselines.oft")
    own = OFTSettings

    def stage(self, job: TrainJob, pipe: Any, how: "StageConfig", own: OFTSettings) -> "NaiveStage":
        """Return the stage that trains the rotations."""
        from baselines.adapted_stage import AdaptedStage
        from spf_train.prediction import Diffusion

        model = turned(pipe.unet, own)

        class OFTStage(AdaptedStage):
            def save_added(self, folder: Path) -> None:
                model.save_pretrained(folder)

        return OFTStage(pipe.unet, Diffusion.from_scheduler(pipe.scheduler), None, how.min_snr_gamma)


def turned(unet: Any, own: OFTSettings) -> Any:
    """Freeze a UNet, give its targets rotations by nothing, and return peft's model around it.

    Raises:
        ConfigErrors: A target is no layer of the UNet's, or its inputs cannot be split into so many blocks.
    """
    from peft import OFTConfig, get_peft_model

    from baselines.adapted_stage import check_targets

    check_targets(unet, own.targets)
    _check_blocks(unet, own)
    config = OFTConfig(
        r=own.blocks,
        oft_block_size=0,
        target_modules=list(own.targets),
        coft=own.eps is not None,
        eps=own.eps or 0.0,
        use_cayley_neumann=False,  # the series that peft uses by default is orthogonal only near no rotation
    )
    return get_peft_model(unet.requires_grad_(False), config)


def _check_blocks(unet: Any, own: OFTSettings) -> None:
    """Refuse what peft would round to the next number that fits, with a warning."""
    from spf_train.errors import ConfigErrors, Problem

    inputs = {
        name: module.in_features
        for name, module in unet.named_modules()
        if any(name == target or name.endswith(f".{target}") for target in own.targets)
        and hasattr(module, "in_features")
    }
    widths = sorted({width for width in inputs.values() if width % own.blocks})
    if widths:
        problems = [Problem(f"blocks = {own.blocks}", f"{width} inputs cannot be split so", "") for width in widths]
        raise ConfigErrors("blocks do not fit the layers", problems)
