"""The command as a user meets it: a set of the world, and every mistake named before anything is made."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spf_bench.cli.app import app
from spf_bench.errors import UserError
from spf_bench.suite import WorldSuite, get_suite
from spf_bench.trainset.filters import Rule, Rules
from spf_bench.trainset.request import rules
from spf_bench.trainset.sources import find, hub_folder


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs ``trainset build`` into a folder and returns exit code and output."""

    def call(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["trainset", "build", "--to", str(tmp_path / "set"), *words])
        return result.exit_code, result.output

    return call


def test_the_world_builds_its_set(build: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    words = ("--candidates", "4", "--steps", "2", "--match-top", "0.5", "--threads", "1")
    code, output = build(*words)
    assert code == 0 and "of 4 candidates" in output
    rows = [json.loads(line) for line in (tmp_path / "set" / "metadata.jsonl").read_text().splitlines()]
    assert rows and all((tmp_path / "set" / row["file_name"]).is_file() for row in rows)
    assert {"match", "hps"} <= rows[0].keys()
    assert "built already" in build(*words)[1]
    code, output = build("--candidates", "5")
    assert code == 2 and "other settings" in output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scheduler", "euler", "--dtype", "int8"), ("--scheduler", "--dtype")),
        (("--guidance", "nan"), ("--guidance",)),
        (("--match-top", "0", "--hps-drop", "1.5"), ("--match-top", "--hps-drop")),
        (("--hps-drop", "0.1", "--hps-min", "0.2"), ("--hps-min",)),
        (("--hps-min", "nan"), ("--hps-min", "not a finite number")),
        (("--reward-min", "0"), ("suite world has no image_reward",)),
        (("--model", "../no such/model", "--match", "nobody/no-such-clip"), ("no such/model", "hf download")),
        (("--captioner", "no/such/place"), ("no such folder",)),
        (("--shard", "3/2"), ("no part of a whole",)),
        (("--suite", "moon"), ("no suite is called",)),
    ],
)
def test_mistakes_are_named_and_nothing_is_made(
    build: Callable[..., tuple[int, str]], tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    code, output = build(*words)
    assert code == 2 and all(text in output for text in told)
    assert "Traceback" not in output and not list(tmp_path.iterdir())


def test_the_paper_suite_names_all_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPF_BENCH_WEIGHTS", "HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    suite = get_suite("paper")
    passing = rules(suite, 0.3, (None, None), (None, None), False)
    assert passing == Rules(Rule(0.3), Rule(0.8), Rule(0.8))
    with pytest.raises(UserError) as refused:
        find(suite, (), None, None, passing)
    fixes = " ".join(problem.fix for problem in refused.value.problems)
    assert all(
        f"spf-bench weights fetch {name}" in fixes for name in ("base", "clip", "hps", "image_reward", "bert_vocab")
    )


def test_a_suite_without_a_judge_goes_without_its_filter() -> None:
    assert rules(WorldSuite(), 1.0, (0.0, None), (None, None), True) == Rules(None, None, None, True)
    assert rules(WorldSuite(), 0.3, (None, 0.2), (None, None), False).hps == Rule(floor=0.2)


def test_a_folder_is_itself(clip_dir: Path) -> None:
    assert hub_folder(str(clip_dir)) == clip_dir
