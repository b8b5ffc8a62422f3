"""The benchmark where all networks are on a GPU: no tensor is left behind on the CPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spf_bench.record import RunRecord
from tests.pretend_cuda import pretended_gpu


@pytest.mark.parametrize("method", ["prompt_only", "spf"])
def test_a_run_trains_samples_and_scores(cli: Callable[..., Any], tmp_path: Path, method: str) -> None:
    words = ("--method", method, "--suite", "mini", "--limit", 4, "--runs", tmp_path / "runs")
    with pretended_gpu():
        done = cli("run", *words)
    assert done.exit_code == 0, done.output
    record = RunRecord.load(next((tmp_path / "runs/mini").glob(f"{method}-*/record.json")))
    assert record.environment.device == "cuda (pretended)"
    assert all(score.mean is not None for score in record.scores["all"].values())
