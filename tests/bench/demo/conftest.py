"""A studio over toy networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.demo.cast import Cast
from spf_bench.demo.studio import Studio
from spf_bench.models.backbone import Backbone
from tests.bench.conftest import MiniSuite


@pytest.fixture
def cast(suite: MiniSuite, frozen: testset.TestSet, installed: dict[str, str], tmp_path: Path) -> Cast:
    """Who can be shown in the miniature benchmark."""
    return Cast(suite, frozen, suite.preset("default"), 0, tmp_path / "runs", "cpu")


@pytest.fixture
def studio(cast: Cast, backbone: Backbone) -> Studio:
    """A studio in which nothing was trained."""
    return Studio(backbone, cast.recorded(print), {})
