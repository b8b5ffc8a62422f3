"""What metrics need to know of a run: its portraits, what they are compared with, and who scores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spf_bench.record import RunRecord
from spf_bench.suite import Suite, get_suite
from spf_bench.testset import TestSet
from spf_bench.tracks import Track, cases
from spf_bench.triple import Triple

IMAGES = "images"


@dataclass(frozen=True)
class Sampled:
    """A method's portraits beside the originals of their triples."""

    suite: Suite
    """Whose metrics score them, and whose base model makes the anchors."""
    triples: tuple[Triple, ...]
    """The triples of the run."""
    cases: tuple[Triple, ...]
    """What was asked of the method on these triples: one case each, or several."""
    folder: Path
    """The run's; scores and features go there."""
    originals: Path
    """Folder of the original portraits."""
    origin: dict[str, Any]
    """Everything that decided the originals' pixels."""
    batch: int
    """Images sampled together."""
    cache: Path
    """Where features and anchors lie, shared by all runs."""
    device: str
    """Where the networks run."""

    @property
    def images(self) -> Path:
        """Folder of the method's portraits."""
        return self.folder / IMAGES


def asked(record: RunRecord, testset: TestSet) -> tuple[Triple, ...]:
    """Return what a run asked of its method; only a sequence needs to know its suite for that."""

    def fits(phrases: Sequence[str], targets: Sequence[str]) -> bool:
        return get_suite(record.suite).go_together(phrases, targets)

    return cases(Track(record.track), testset.head(record.limit), testset.triples, fits)
