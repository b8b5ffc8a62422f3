"""Peak memory within and around blocks, costs over interruptions, and what stands in the table."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spf_bench.progress import Silent
from spf_bench.run import costs
from spf_bench.run.costs import Meter, peak_memory
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.table import costs as cost_table

BLOCK = 64 * 2**20  # bytes


def use(size: int = BLOCK) -> None:
    np.ones(size, dtype=np.uint8).sum()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark cannot be set back here")
def test_a_peak_belongs_to_its_own_block_and_to_those_around_it() -> None:
    code = """
import numpy as np
from spf_bench.run.costs import peak_memory
def use(size):
    np.ones(size, dtype=np.uint8).sum()
with peak_memory() as outer:
    use(128 * 2**20)
    with peak_memory() as inner:
        use(64 * 2**20)
    after = outer.so_far()
with peak_memory() as idle:
    pass
assert idle.mib + 48 < inner.mib < outer.mib - 48 and abs(after - outer.mib) < 8, (idle, inner, outer, after)
"""  # a process of its own: in one that has done much else, memory comes and goes meanwhile
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_blocks_of_equal_peaks_end_each_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_resident", lambda: 700.0)
    with peak_memory() as outer:
        with peak_memory() as inner:
            pass
        assert not any(one is inner for one in costs._under_way) and any(one is outer for one in costs._under_way)


def test_costs_add_up_over_interruptions(tmp_path: Path) -> None:
    first = Meter.of(tmp_path, "cpu")
    with pytest.raises(KeyboardInterrupt), first.stage("generate"):
        raise KeyboardInterrupt
    second = Meter.of(tmp_path, "cpu")
    before = second.seconds["generate"]
    with second.stage("generate"):
        use(2**20)
    assert second.seconds["generate"] > before > 0 and second.memory["generate"] >= first.memory["generate"] > 0


def test_a_record_tells_every_cost_of_every_stage(planned: Callable[..., Run]) -> None:
    record = execute(planned("spf"), Silent())
    assert set(record.memory) == {"train stage1", "train stage2", "originals", "generate", "score"}
    stage1, stage2, sampling = cost_table.costs(record, "SPF")
    assert (stage1.updates, stage1.samples, stage1.precision) == (3, 6, "fp32")
    whole = sum(p.stat().st_size for p in planned("spf").cache.glob("checkpoints/stage1-*/unet/*.safetensors"))
    assert stage1.checkpoint_bytes == whole > 4 * stage2.trainable_parameters
    assert sampling.samples == 6 and sampling.updates is None and sampling.peak_memory_mib > 0
    assert all(cost.seconds > 0 and cost.peak_memory_mib > 0 for cost in (stage1, stage2))


def test_costs_stand_beside_the_scores_in_every_format(cli: Callable, tmp_path: Path) -> None:
    words = ("--suite", "mini", "--limit", 2, "--runs", tmp_path / "runs", "--device", "cpu")
    assert cli("run", "--method", "naive", *words).exit_code == 0
    text = cli("table", "--runs", tmp_path / "runs", "--costs").stdout
    assert "Costs on cpu" in text and "stage1" in text and "CLIP-T" in text
    assert max(map(len, text.splitlines())) <= 120
    alone = cli("table", "--runs", tmp_path / "runs", "--shape", "2", "--vs", "published").stdout
    assert "CLIP-T" not in alone and "s each" in alone and "3.26" in alone
    csv = cli("table", "--runs", tmp_path / "runs", "--shape", "2", "--format", "csv").stdout
    assert csv.startswith("method,stage,precision,updates,") and "Naive fine-tuning,stage1,fp32,3,6," in csv
