"""What may be set about AdaLoRA, and its schedule in a training of so many steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baselines.adapted import Settings

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class AdaLoRASettings(Settings):
    """Ranks and schedule; the schedule's shares follow its author's advice for short trainings of diffusion models."""

    lr_factor: float = 10.0
    target_r: int = 8
    """Mean rank of all layers in the end."""
    init_r: int = 12
    """Rank of every layer at first; above target_r, or there is nothing to allot."""
    alpha: float | None = None
    """Scale of the additions times init_r; None is init_r, a scale of 1."""
    warmup: float = 0.1
    """Share of the steps before the first allocation."""
    final: float = 0.5
    """Share of the steps after the last allocation."""
    interval: int | None = None
    """Steps between allocations; None makes 200 of the whole training."""
    orth: float = 0.5
    """Weight of the orthogonality term."""
    beta1: float = 0.85
    """Decay of a weight's mean importance."""
    beta2: float = 0.85
    """Decay of its uncertainty."""
    targets: tuple[str, ...] = TARGETS
    """Layers that are added to, by the end of their names."""

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        yield from super().rules()
        for name in ("target_r", "alpha", "interval"):
            if (value := getattr(self, name)) is not None and value <= 0:
                yield name, "it must be above 0"
        if self.init_r <= self.target_r:
            yield "init_r", f"it must be above target_r = {self.target_r}: ranks are taken away, never added"
        if self.warmup < 0 or self.final <= 0 or self.warmup + self.final >= 1:
            yield "warmup", f"warmup and final = {self.final} must leave steps between them for the allocation"
        if self.orth < 0:
            yield "orth", "it must not be negative"
        yield from ((name, "a decay lies between 0 and 1") for name in ("beta1", "beta2") if not self._decay(name))
        if not self.targets:
            yield "targets", "there must be one at least"

    def _decay(self, name: str) -> bool:
        return bool(0 < getattr(self, name) < 1)

    def schedule(self, total: int) -> dict[str, Any]:
        """Return peft's names of the schedule for `total` steps, at least 2; the last allocation always takes place."""
        final = max(1, round(self.final * total))
        warmup = min(round(self.warmup * total), total - final - 1)
        return {"tinit": warmup, "tfinal": final, "deltaT": self.interval or max(1, total // 200), "total_step": total}
