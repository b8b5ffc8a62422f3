"""What may be set about Magnet, and what its authors chose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from baselines.training import for_users
from spf_bench.errors import UserError
from spf_train import settings
from spf_train.overrides import value_of


@dataclass(frozen=True)
class MagnetSettings:
    """Settings of the edit; the defaults are those of the authors' code."""

    on: Literal["base", "naive"] = "base"
    """Whose UNet samples: the original model's, or naive fine-tuning's. The paper does not say which it compared."""
    pairs: Literal["phrases", "stanza"] = "phrases"
    """Who finds the pairs: a few rules on the triple's phrases, or a constituency parser as in the paper."""
    neighbours: int = 5
    """K: how many entities a binding vector is a mean over, the noun itself among them."""
    strength: float = 0.6
    """Lambda of alpha = exp(lambda - omega)."""
    positive: bool = True
    """Whether a noun is pulled to its own attribute."""
    negative: bool = True
    """Whether a noun is pushed away from the attributes of the others."""
    whole_words: bool = False
    """Whether only those words of the bank are candidates that the tokenizer knows whole."""

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (field, why) of every value out of range."""
        if self.neighbours < 1:
            yield "neighbours", "it must be at least 1, the noun itself"


def settings_of(changes: Sequence[str]) -> MagnetSettings:
    """Return the settings with some of them changed by ``name=value`` words.

    Raises:
        UserError: Naming every word that names no setting, or gives it a value it cannot have.
    """
    parts = [change.partition("=") for change in changes]
    try:
        with for_users():
            return settings.from_dict(MagnetSettings, {name.strip(): value_of(text) for name, _, text in parts})
    except ValueError as error:
        raise UserError("a setting of magnet is not valid", str(error), "e.g. --set neighbours=5") from error
