"""What may be set about LoRA."""

from collections.abc import Iterator
from dataclasses import dataclass

from baselines.adapted import Settings


@dataclass(frozen=True)
class LoRASettings(Settings):
    """Rank, scale and place; the defaults are those of diffusers' example, but for the rank."""

    lr_factor: float = 10.0
    rank: int | None = None
    """Rank of every layer; None takes the best of `ranks`, by a declared score on the suite's validation triples."""
    ranks: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    """What the best one is chosen among."""
    choose_on: int | None = None
    """Validation triples to choose on, the first so many; None is all."""
    choose_seed: int = 0
    """Seed of the trainings that are compared: one choice for all seeds of a comparison."""
    alpha: float | None = None
    """Scale of the additions times the rank; None is the rank, a scale of 1."""
    rslora: bool = False
    """Whether the scale is alpha / sqrt(rank) (arXiv:2312.03732), so that high ranks are not scaled down."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Layers that are added to, by the end of their names."""

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        yield from super().rules()
        for name in ("rank", "alpha", "choose_on"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                yield name, "it must be above 0"
        if not self.ranks or min(self.ranks) <= 0 or len(set(self.ranks)) < len(self.ranks):
            yield "ranks", "different ranks above 0, one at least"
        if not self.targets:
            yield "targets", "there must be one at least"
