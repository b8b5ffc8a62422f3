"""The ceiling of preservation and the floor of response: the original portrait itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spf_bench.method import Method
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from spf_bench.models.backbone import Backbone


class Original(Method):
    """Answers every target with the original portrait."""

    name = "original"
    title = "Original portrait"
    source = "spf-bench"
    reference = True

    def embed(self, backbone: "Backbone", triples: Sequence[Triple]) -> "Tensor":
        """Return the embeddings [B, L, D] of the base texts: sampling with them gives the originals."""
        return backbone.encode([triple.base for triple in triples])
