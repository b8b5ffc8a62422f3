"""The plan: which candidates there are, with texts, noise and the checkpoint that paints each."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.grammars import Grammar
from spf_bench.triple import Category, Triple

CATEGORIES = tuple(Category)


class Plan:
    """Candidates on disk, whole chunks even where the set ends inside one: a larger set then shares all of it.

    Args:
        stage: Where they lie.
        grammar: Where texts come from.
        seed: Which ones.
    """

    def __init__(self, stage: Stage, grammar: Grammar, seed: int) -> None:
        self.stage = replace(stage, total=len(stage.chunks) * stage.chunk)
        self.grammar, self.seed, self.total = grammar, seed, stage.total

    def make(self, share: Share, progress: Progress) -> None:
        """Draw what is not there yet."""
        absent = self.stage.absent(".jsonl")
        task = progress.task("plan", len(self.stage.chunks), len(self.stage.chunks) - len(absent))
        share.wait()
        for chunk in share.of_processes(absent):
            triples = self.grammar.draw(self.seed, chunk)
            codes = np.array([CATEGORIES.index(triple.category) for triple in triples], np.uint8)
            self.stage.write_array(chunk, codes)
            self.stage.write_lines(chunk, (triple.to_dict() for triple in triples))
            task.advance(share.world)
        share.wait()

    def whole(self, chunk: int) -> list[Triple]:
        """Return all candidates of a chunk, those after the set's end too."""
        return [Triple.from_dict(row) for row in self.stage.lines(chunk)]

    def categories(self) -> Iterator[np.ndarray]:
        """Yield the category of every candidate, chunk by chunk [N] uint8: places in ``CATEGORIES``."""
        for chunk in self.stage.chunks:
            yield self.stage.array(chunk)[: self.total - chunk * self.stage.chunk]
