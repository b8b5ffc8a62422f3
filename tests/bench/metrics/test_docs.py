"""The page about metrics speaks of every metric, option and checkpoint set there is."""

import subprocess
import sys
from pathlib import Path

from spf_bench import paper
from spf_bench.cli import paper as cli_paper
from spf_bench.metrics.catalogue import catalogue

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_has_a_section():
    headings = "\n".join(line for line in PAGE.splitlines() if line.startswith("### "))
    ours = [metric.key for metric in catalogue() if metric.__module__.startswith("spf_bench.")]
    assert not [key for key in ours if f"`{key}`" not in headings]


def test_every_setting_is_told():
    for name in ("Base", "Trainset", "WeightsDir", "Also", "Precision"):
        option = getattr(cli_paper, name).__metadata__[0]
        assert f"| `{option.default}` | `{option.envvar}` |" in PAGE
    assert all(f"`{key}`" in PAGE for key in paper.ON_REQUEST)


def test_every_column_of_text_scores_is_told():
    for metric in catalogue():
        if metric.key in ("clip_t", "mps", "image_reward"):
            assert all(f"`{column}`" in PAGE for column in metric.secondary)


def test_the_list_of_metrics_is_the_classes_and_imports_none() -> None:
    from spf_bench import facts

    assert facts.facts()[0] == facts.of_classes(), "python -m spf_bench.facts writes the list anew"
    script = "import sys; from spf_bench.facts import facts; facts(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
