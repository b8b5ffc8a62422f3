"""What tests of runs borrow from those of originals and of scoring."""

from tests.bench.originals.conftest import planned_build, whole
from tests.bench.scoring.conftest import theirs

__all__ = ["planned_build", "theirs", "whole"]
