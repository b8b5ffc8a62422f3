"""What other packages can show of one portrait on the demo's page: entry points of the group ``spf_bench.overlays``.

An entry point names a function of ``Sight`` that returns a grid of pictures, or None where it has nothing to say of
that method. Its name is the grid's heading in the list of what is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from spf_bench.models.backbone import Backbone
from spf_bench.overlays import Grid
from spf_bench.plugins import FAILURES, reason, unique
from spf_bench.run.plan import Run
from spf_bench.triple import Triple

GROUP = "spf_bench.overlays"


@dataclass(frozen=True)
class Sight:
    """What is looked at."""

    run: Run
    """The method with its settings, and the suite it runs in."""
    checkpoint: Path | None
    """Its weights; None where it has none."""
    triple: Triple
    """Texts and noise."""
    backbone: Backbone
    """The original model; to be left as it was."""
    steps: int
    """How many timesteps to show."""


Look = Callable[[Sight], Grid | None]


@dataclass(frozen=True)
class Looks:
    """Which were found, and which could not be loaded."""

    found: dict[str, Look]
    """Functions by name."""
    broken: dict[str, str]
    """Reasons by name."""


def discover() -> Looks:
    """Load every installed look; a broken one is told with its reason and stops nobody else."""
    points, broken = unique(entry_points(group=GROUP))
    looks = Looks({}, broken)
    for name, point in points.items():
        try:
            looks.found[name] = point.load()
        except FAILURES as error:
            looks.broken[name] = reason(error)
    return looks
