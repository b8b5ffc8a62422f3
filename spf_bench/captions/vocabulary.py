"""Every text the grammar can say, one choice at a time."""

import re
from collections.abc import Iterator
from typing import Any

from spf_bench.captions.lexicon import PRONOUNS, articles, words
from spf_bench.captions.people import AGES, SKINS

MARKS = ("tags", "never", "wears", "lights")
"""Entries of the word files that no caption says."""
FILES = ("scenes", "wardrobe", "light", "looks", "targets", "general")


def texts() -> Iterator[str]:
    """Yield every line of the word files, once for each of its choices, and the words for people."""
    for name in FILES:
        for line in _leaves(words(name)):
            yield from variants(line.partition(" ; ")[0])
    yield from SKINS.values()
    for nouns in AGES.values():
        for group in nouns.values():
            yield from group


def variants(text: str) -> list[str]:
    """Return ``text`` with its choices and pronouns settled in every way, articles right."""
    choice = re.search(r"\{([^{}]*)\}", text)
    if choice is None:
        return [articles(text)]
    options = choice[1].split("|") if "|" in choice[1] else sorted({forms[choice[1]] for forms in PRONOUNS.values()})
    before, after = text[: choice.start()], text[choice.end() :]
    return [variant for option in options for variant in variants(f"{before}{option}{after}")]


def vocabulary() -> set[str]:
    """Return the words, digits and marks of all texts, split as CLIP splits them."""
    from spf_bench.captions.tokens import pieces

    return {piece for text in [*texts(), "a, with and an"] for piece in pieces(text)}


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif entry:
        for item in [entry[key] for key in entry if key not in MARKS] if isinstance(entry, dict) else entry:
            yield from _leaves(item)
