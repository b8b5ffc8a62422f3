"""What the scoring of a method and that of the originals beside it have in common."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench.errors import Problem, UserError, unknown
from spf_bench.scoring.captions import Captions
from spf_bench.scoring.fingerprint import fingerprint
from spf_bench.scoring.match import Matched
from spf_bench.suite import Suite


@dataclass(frozen=True)
class Setting:
    """Images, texts, and how they are scored."""

    suite: Suite
    captions: Captions
    limit: int | None
    out: Path
    batch: int
    device: str
    metrics: tuple[str, ...]
    """Keys of those asked for; empty: all."""
    words: Mapping[str, Path | str]
    """What the command says of images, texts, names and places, by option."""
    found: Matched

    @cached_property
    def scoring(self) -> str:
        """Hash of what scores depend on besides texts and images."""
        return fingerprint(self.suite)

    @cached_property
    def loaded(self) -> dict[str, Any]:
        """All metrics of the suite by key, their networks loaded once for everything that is scored."""
        return {metric.key: metric for metric in self.suite.metrics(self.device)}

    def chosen(self, also: Set[str] = frozenset()) -> list[Any]:
        """Return the metrics that were asked for, and those of ``also``, which were scored before.

        Raises:
            UserError: One that was asked for is unknown, or one that was scored before is no longer here.
        """
        for key in self.metrics:
            if key not in self.loaded:
                raise unknown(f"metric of the suite {self.suite.name!r}", key, self.loaded, "spf-bench list metrics")
        if lost := sorted(also - self.loaded.keys()):
            raise UserError("columns that were scored before would be lost", problems=list(map(_lost, lost)))
        wanted = {*self.metrics, *also} if self.metrics else set(self.loaded)
        return [metric for key, metric in self.loaded.items() if key in wanted]


def _lost(key: str) -> Problem:
    return Problem(key, "no metric of that name is here", "install what it came with, or choose another --out")
