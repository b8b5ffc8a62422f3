"""Which texts are longer than a base model's text encoder reads: the end of them, the target, would be lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def overlong(pipeline: Path, texts: Sequence[str]) -> dict[str, str]:
    """Return every distinct text with more tokens, start and end included, than fit, and how many these are.

    Raises:
        UserError: The pipeline is a single file, and the tokenizer that goes with it is not here.
    """
    tokenizer, distinct = _tokenizer(pipeline), list(dict.fromkeys(texts))
    if tokenizer is None or not distinct:
        return {}
    room, found = tokenizer.model_max_length, tokenizer(distinct, verbose=False).input_ids
    lengths = {text: len(ids) for text, ids in zip(distinct, found, strict=True)}
    return {text: f"{length} tokens, it reads {room}" for text, length in lengths.items() if length > room}


def shown(text: str) -> str:
    """Return the start of a text, in quotes."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _tokenizer(pipeline: Path) -> Any:
    if pipeline.is_file():
        from spf_bench.models.base_model import SD15, tokenizer_of

        return tokenizer_of(SD15)
    from transformers import CLIPTokenizer

    own = pipeline / "tokenizer"
    return CLIPTokenizer.from_pretrained(own) if own.is_dir() else None  # what is no pipeline is told by who loads it
