"""What may be set about TokenCompose."""

from collections.abc import Iterator
from dataclasses import dataclass

from baselines.adapted import Settings


@dataclass(frozen=True)
class TokenComposeSettings(Settings):
    """Weights of the losses and where masks come from; the defaults are those of the authors' training."""

    w_token: float = 1e-3
    """λ_t, of the token loss."""
    w_pixel: float = 5e-5
    """λ_p, of the pixel loss."""
    antialias: bool = False
    """How masks are shrunk to the attention's size; the authors' torchvision did it without antialiasing."""
    masks: str | None = None
    """Folder of masks, by a segmenter or a face parser; None asks the suite, which knows what it drew."""
    face_words: bool = False
    """Whether words without a noun of their own (smiling, young) are grounded on the face; the authors leave them."""

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        yield from super().rules()
        yield from ((name, "it must not be negative") for name in ("w_token", "w_pixel") if getattr(self, name) < 0)
        if not self.w_token and not self.w_pixel:
            yield "w_token", "with w_pixel = 0 as well, this is naive fine-tuning"
