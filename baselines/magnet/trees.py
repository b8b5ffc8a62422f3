"""Pairs from a constituency parse, by the rules of Sec. 3 of arXiv:2409.19967 and its code; Stanza parses."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from baselines.magnet.pairs import Pair, kept
from spf_bench.errors import UserError


@dataclass
class Tree:
    """A node of a parse: a tag over further nodes, or over one word."""

    tag: str
    """Penn Treebank tag."""
    word: str = ""
    """The word, at a leaf."""
    children: list["Tree"] = field(default_factory=list)
    """The nodes below."""

    def leaves(self) -> Iterator["Tree"]:
        """Yield the words' nodes from left to right."""
        if self.word:
            yield self
        for child in self.children:
            yield from child.leaves()


def read(text: str) -> Tree:
    """Read a tree in bracket notation, e.g. ``(NP (DT a) (NN dog))``.

    Raises:
        ValueError: The brackets do not match.
    """
    marks = text.replace("(", " ( ").replace(")", " ) ").split()
    top = Tree("")
    open_nodes = [top]
    for before, mark in zip(["", *marks], marks, strict=False):
        if before == "(":
            node = Tree(mark)
            open_nodes[-1].children.append(node)
            open_nodes.append(node)
        elif mark == ")":
            open_nodes.pop()
        elif mark != "(":
            open_nodes[-1].word = mark
        if not open_nodes:
            break
    if len(open_nodes) != 1 or len(top.children) != 1:
        raise ValueError(f"{text!r} is not one tree in brackets")
    return top.children[0]


def pairs_of_tree(text: str) -> list[Pair]:
    """Return the pairs of a parse in bracket notation: one for each common noun that ends its phrase."""
    return kept(list(_pairs(read(text))))


def pairs_by_stanza(prompt: str) -> list[Pair]:
    """Return the pairs of a cleaned prompt's first sentence.

    Raises:
        UserError: Stanza or its English models are not installed.
    """
    return pairs_of_tree(str(_parser()(prompt).sentences[0].constituency))


def _pairs(node: Tree) -> Iterator[Pair]:
    leaves = list(node.leaves())
    words = [leaf.word for leaf in leaves]
    for child in node.children:
        if child.tag in ("NN", "NNS") and child.word == words[-1]:
            start = 1 if leaves[0].tag == "DT" else 0
            yield Pair(words[-1], " ".join(words[start:-1]))
        yield from _pairs(child)


@cache
def _parser() -> Any:
    fix = "pip install stanza && python -c \"import stanza; stanza.download('en')\", or leave pairs=phrases"
    try:
        import stanza

        return stanza.Pipeline("en", processors="tokenize,pos,constituency", download_method=None, verbose=False)
    except ImportError as error:
        raise UserError("pairs=stanza cannot run here", "stanza is not installed", fix) from error
    except Exception as error:  # stanza has no class of its own for models that are not there
        raise UserError("pairs=stanza cannot run here", str(error).strip().splitlines()[0], fix) from error
