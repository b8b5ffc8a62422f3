"""Where a noun stands among the tokens of its caption."""

from __future__ import annotations

from typing import Any


def noun_positions(tokenizer: Any, caption: str, noun: str) -> list[int] | None:
    """Token positions of the first occurrence of a noun in its caption, start token counted; None if it has none.

    Tokens are compared, not letters: "dog" is not found in "dogs". What the tokens found spell has to be the noun:
    otherwise they would be something else that is encoded alike.

    tokenizer: a CLIP tokenizer. A position may lie beyond its context, where a caption is cut.
    """
    written = noun.lower()
    text, part = (tokenizer(words, add_special_tokens=False)["input_ids"] for words in (caption, written))
    starts = (i for i in range(len(text) - len(part) + 1) if text[i : i + len(part)] == part)
    start = next(starts, None)
    if start is None or not part:
        return None
    spelt = "".join(tokenizer.decode([token]).strip() for token in part)
    if spelt.replace(" ", "") != written.replace(" ", ""):
        return None
    return list(range(start + 1, start + 1 + len(part)))
