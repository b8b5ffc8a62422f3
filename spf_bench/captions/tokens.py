"""How many of CLIP's 77 token positions a caption takes, without CLIP's vocabulary.

CLIP splits a text into words, digits and runs of punctuation, and only then each of those into tokens.
``words/clip_tokens.txt`` lists the tokens of every word of the grammar, counted with OpenAI's own merges, so that the
count is exact for whatever the grammar says; any other word counts one token a byte, which is never too few.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count, pairwise
from pathlib import Path

LIMIT = 77
"""Token positions of CLIP's text encoder, those of start and end included."""
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+", re.IGNORECASE)


def clip_tokens(text: str) -> int:
    """Return the token positions ``text`` takes in CLIP's text encoder, start and end included."""
    known = _known()
    return 2 + sum(known.get(piece, len(piece.encode())) for piece in pieces(text))


def pieces(text: str) -> list[str]:
    """Split ``text`` as CLIP does before byte-pair encoding."""
    return _PIECES.findall(text.lower())


@cache
def _known() -> dict[str, int]:
    lines = (Path(__file__).parent / "words" / "clip_tokens.txt").read_text(encoding="utf-8").splitlines()
    return {piece: int(number) for number, *listed in map(str.split, lines) if number != "#" for piece in listed}


def table(vocabulary: Iterable[str], merges: Path) -> str:
    """Return the text of ``clip_tokens.txt`` for the pieces of ``vocabulary``, counted with CLIP's ``merges.txt``."""
    lines = merges.read_text(encoding="utf-8").splitlines()[1:]
    ranks = {tuple(line.split()): rank for rank, line in enumerate(lines)}
    counted: dict[int, list[str]] = {}
    for piece in sorted(vocabulary):
        counted.setdefault(_split(piece, ranks), []).append(piece)
    rows = "".join(
        f"{number} {' '.join(counted[number][i : i + 14])}\n"
        for number in sorted(counted)
        for i in range(0, len(counted[number]), 14)
    )
    return f"{_HEAD}{rows}"


def _split(piece: str, ranks: Mapping[tuple[str, ...], int]) -> int:
    """Return into how many tokens byte-pair encoding splits a piece."""
    letters = [_BYTES[byte] for byte in piece.encode()]
    parts = [*letters[:-1], f"{letters[-1]}</w>"]
    while len(parts) > 1:
        pairs = [ranks.get(pair, len(ranks)) for pair in pairwise(parts)]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        if pairs[best] == len(ranks):
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return len(parts)


def _byte_letters() -> list[str]:
    """Return the letter CLIP writes for each byte: itself where printable, the next letter from U+0100 otherwise."""
    spare = count(0x100)
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


_BYTES = _byte_letters()
_HEAD = "# CLIP tokens of each word, digit and mark of the grammar: python -m spf_bench.captions --tokens merges.txt\n"
