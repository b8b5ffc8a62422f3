"""The training step of LoRA: noise prediction with low-rank additions to a frozen UNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baselines.adapted_stage import AdaptedStage, check_targets, seeded
from baselines.lora.settings import LoRASettings
from spf_train import variants


class LoRAStage(AdaptedStage):
    """L_diff; what is added to a weight is (alpha / rank) B A of peft's LoRA."""

    def facts(self) -> dict[str, Any]:
        """The rank and the number of layers that have it."""
        config = self.unet.peft_config["default"]
        layers = sum(".lora_A." in name for name in self.trainable())
        return {**super().facts(), "rank": config.r, "layers": layers}

    def save_added(self, folder: Path) -> None:
        """Writes what `pipe.load_lora_weights` reads."""
        variants.save_lora(self.unet, folder)


def add(unet: Any, own: LoRASettings, seed: int) -> Any:
    """Freezes a UNet, adds LoRA to it, B = 0 and A by the seed, and returns it; it starts unchanged.

    Raises ConfigErrors if a target is no layer of the UNet's.
    """
    from peft import LoraConfig

    check_targets(unet, own.targets)
    assert own.rank is not None  # it is chosen before anything is trained
    config = LoraConfig(
        r=own.rank,
        lora_alpha=own.rank if own.alpha is None else own.alpha,  # type: ignore[arg-type]
        init_lora_weights="gaussian",
        use_rslora=own.rslora,
        target_modules=list(own.targets),
    )
    with seeded(seed):
        unet.requires_grad_(False).add_adapter(config)
    return unet
