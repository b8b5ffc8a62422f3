"""Pairs of a noun and its attribute in a caption, and where their nouns stand in it.

A caption of the benchmark is phrases that start with what they are about ("curly black hair", "in a red sweater",
"a man with tan skin"), so a few words that end a noun phrase do for a parser: a noun is the last word between two of
them, its attribute what stands before it, less a determiner. `trees` has the rules of the paper for other texts.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


DETERMINERS = _set("a an the this that these those some any each every another no")
PUNCTUATION = _set(", . ; : '")
JOINTS = PUNCTUATION | _set(
    "with without in on at of for from to by near beside behind under over above against between around through into"
    " across and or but as like 's"
)
VERBS = _set(
    "wearing holding having carrying sitting standing posing looking facing wears holds has sits stands looks is are"
    " was were"
)
# Nouns that only count or place another one; so in the authors' code.
EMPTY_NOUNS = _set("photo bunches bunch front patch side pile piece")


@dataclass(frozen=True)
class Pair:
    """A noun and what is said of it."""

    subject: str
    """The noun: the last word of the concept."""
    attribute: str = ""
    """The words before it; empty for a bare noun, which only receives what others push."""
    alpha: float | None = None
    """Strength of the pull; None takes it from the concept's own embedding."""
    beta: float | None = None
    """Strength of the pushes; None likewise."""

    @property
    def concept(self) -> str:
        """Attribute and noun."""
        return f"{self.attribute} {self.subject}".strip()


def clean(text: str) -> str:
    """Put a space before the first comma, else full stop, else apostrophe of every word."""
    return " ".join(_clean_word(word) for word in text.split(" "))


def pairs_of(phrases: Iterable[str], nouns: Container[str]) -> list[Pair]:
    """Return the pairs of a caption, in order.

    Args:
        phrases: The caption's phrases.
        nouns: Words known to be nouns. Without a determiner, anything else may be an adjective ("serious").
    """
    found = [Pair(words[-1], " ".join(words[:-1])) for phrase in phrases for words in _noun_phrases(phrase, nouns)]
    return kept(found)


def kept(pairs: Sequence[Pair]) -> list[Pair]:
    """Drop bare nouns that mean nothing by themselves, and pairs that lie within another's attribute."""
    pairs = [pair for pair in pairs if pair.concept not in EMPTY_NOUNS]
    return [pair for pair in pairs if not any(pair.concept in other.attribute for other in pairs)]


def last_token(prompt: str, concept: str, lengths: Sequence[int]) -> int | None:
    """Return the position of the last token of a concept's first occurrence in a prompt, or None.

    Args:
        prompt: The cleaned prompt.
        concept: Words that may stand in it, one after the other.
        lengths: How many tokens each of the prompt's words has; position 0 is the start token's.
    """
    words, wanted = prompt.split(" "), clean(concept).split(" ")
    for start in range(len(words) - len(wanted) + 1):
        if words[start : start + len(wanted)] == wanted:
            return sum(lengths[: start + len(wanted)])
    return None


def _clean_word(word: str) -> str:
    mark = next((mark for mark in ",.'" if mark in word), None)
    return word if mark is None or word.startswith(mark) else word.replace(mark, f" {mark}", 1)


@dataclass
class _Chunk:
    """A noun phrase as far as it has been read."""

    led: bool
    """Whether a word stands before it that asks for a noun."""
    determined: bool = False
    """Whether it began with a determiner."""
    words: list[str] = field(default_factory=list)
    """Its words, without the determiner."""

    def is_noun(self, nouns: Container[str]) -> bool:
        """Say whether its last word is a noun, as far as one can tell without a parser."""
        if not self.words or self.determined:
            return bool(self.words)
        head = self.words[-1].lower()
        return any(form in nouns for form in (head, head + "s", head.removesuffix("s"))) or (
            self.led and len(self.words) > 1
        )


def _noun_phrases(phrase: str, nouns: Container[str]) -> Iterator[list[str]]:
    """Yield the words of every noun phrase, without determiners."""
    words = [*clean(phrase).split(), "."]
    chunk = _Chunk(led=False)
    for word, following in zip(words, [*words[1:], "."], strict=True):
        ends = _ends(chunk, word.lower(), following.lower(), nouns)
        if not ends:
            chunk.words.append(word)
            continue
        if chunk.is_noun(nouns):
            yield chunk.words
        chunk = _Chunk(led=word not in PUNCTUATION, determined=word.lower() in DETERMINERS)


def _ends(chunk: _Chunk, word: str, following: str, nouns: Container[str]) -> bool:
    """Say whether a word ends the noun phrase before it: "with", "a", "wearing", or "smiling" on its own."""
    if word in JOINTS or word in DETERMINERS:
        return True
    starts = not chunk.words
    if word in VERBS:
        return not (starts and chunk.determined)
    alone = following in JOINTS or following in DETERMINERS
    return starts and not chunk.determined and alone and word.endswith("ing") and word not in nouns
