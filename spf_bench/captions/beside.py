"""Which targets may be asked of a base text that was written for another one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from spf_bench.captions.grammar import targets as targets_by_category
from spf_bench.captions.lexicon import Line, fits, implied, parse, section, words
from spf_bench.captions.people import AGES
from spf_bench.captions.tokens import LIMIT, clip_tokens

_WORN = re.compile(r"\b(wearing|dressed|bundled up) ", re.IGNORECASE)


def go_together(phrases: Sequence[str], targets: Iterable[str]) -> bool:
    """Say whether base text and targets make one caption that contradicts nowhere and that CLIP reads whole.

    What a text says is told by its words alone, so a contradiction that only the grammar knows of can slip through.
    """
    told = list(targets)
    said = Line(", ".join(phrases), frozenset(_tags(", ".join(phrases))))
    for target in told:
        line = _known().get(target) or parse(target)
        if not fits(line, said):
            return False
        said = said.beside(line)
    return clip_tokens(", ".join([*phrases, *told])) <= LIMIT


def _tags(text: str) -> Iterable[str]:
    """Yield what the words of a base text say: by the lexicon, who it is about, and whether clothes are named."""
    yield from implied(text)
    if _WORN.search(text) or any(re.search(rf"\bin [^,]*\b{noun}\b", text) for noun in _garments()):
        yield "clothes"
    named = [(who, gender, age) for age, by in AGES.items() for gender, said in by.items() for who in said]
    found = [entry for entry in named if re.search(rf"\b{entry[0]}\b", text, re.IGNORECASE)]
    if found:
        yield from max(found, key=lambda entry: len(entry[0]))[1:]


@cache
def _garments() -> frozenset[str]:
    """Return the nouns of clothing that the grammar introduces by "in" ("in a striped shirt")."""
    lines = [line.text for style in words("wardrobe").values() for line in section(style)]
    return frozenset(re.findall(r"[\w-]+", " ".join(line.split()[-1] for line in lines if line.startswith("in "))))


@cache
def _known() -> Mapping[str, Line]:
    return {line.text: line for lines in targets_by_category().values() for line in lines}
