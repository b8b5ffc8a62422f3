"""Text embeddings by row: kept in memory or in a cache, or encoded at each use where they fit in neither."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spf_train.shards import Rows

Encode = Callable[[Sequence[str]], Tensor]
ENCODE_BATCH = 32
MEMORY = 4 * 1024**3  # bytes; 20,000 texts of SD 1.5


class TextTable:
    """The distinct texts among `texts`, each with one row.

    encode: a list of texts to their embeddings [N, L, D], on the CPU.
    memory: bytes that embeddings may take; where all rows would take more, each use encodes its rows anew.
    keep: has the embeddings of distinct texts kept elsewhere, and returns them as rows; None keeps them in memory.
    """

    def __init__(
        self,
        texts: Sequence[str],
        encode: Encode,
        memory: int = MEMORY,
        keep: Callable[[Sequence[str]], Rows] | None = None,
    ) -> None:
        self.texts = list(dict.fromkeys(texts))
        self.rows = {text: row for row, text in enumerate(self.texts)}
        self.embeddings: Rows | None = None
        self.encode: Encode | None = None  # an encoder that is not needed again can be freed
        if keep is not None:
            self.embeddings = keep(self.texts)
        elif encode(self.texts[:1]).nbytes * len(self.texts) <= memory:
            self.embeddings = _encode_all(self.texts, encode)
        else:
            self.encode = encode

    def __len__(self) -> int:
        return len(self.texts)

    def index(self, texts: Sequence[str]) -> Tensor:
        """Rows of texts [N]."""
        return torch.tensor([self.rows[text] for text in texts], dtype=torch.long)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Embeddings [N, L, D] of rows [N]."""
        if self.encode is not None:
            return self.encode([self.texts[row] for row in rows.tolist()]).float()
        assert self.embeddings is not None
        return self.embeddings[rows]


def _encode_all(texts: Sequence[str], encode: Encode) -> Tensor:
    starts = range(0, len(texts), ENCODE_BATCH)
    return torch.cat([encode(texts[start : start + ENCODE_BATCH]) for start in starts]).float()
