"""Where the authors' own function found nouns in CLIP's tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from baselines.tokencompose.nouns import noun_positions

CASES = json.loads((Path(__file__).parent / "vectors" / "tokencompose_text.json").read_text())


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from spf_train.single_file import load_tokenizer

    return load_tokenizer()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['word']} in {case['prompt'][:30]}")
def test_positions_are_the_originals(tokenizer: Any, case: dict[str, Any]) -> None:
    """Where the original raised an error, there is no such noun."""
    assert noun_positions(tokenizer, case["prompt"], case["word"]) == (case["idx"] if case["ok"] else None)


def test_an_empty_noun_is_nowhere(tokenizer: Any) -> None:
    assert noun_positions(tokenizer, "a man", "") is None
