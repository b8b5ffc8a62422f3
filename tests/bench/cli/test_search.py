"""The search: its file, its samplers, its declared score, validation triples only, and going on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.search import score_of
from baselines.search_space import Choice, Range, SearchConfig, dimensions, propose, read
from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.metrics.base import Batch, Group, Metric
from spf_train.errors import ConfigError
from tests.bench.conftest import MiniSuite, make_triples

Cli = Callable[..., object]


class Stub(Metric):
    """Stands in for a reading of the world: some number from 0 to 100 for each image."""

    group, higher_is_better, bounds, decimals = Group.world, True, (0.0, 100.0), 1
    source = licence = comparable = "tests"

    def __init__(self, key: str) -> None:
        self.key = self.title = key  # type: ignore[misc]

    def score(self, batch: Batch) -> dict[str, Tensor]:
        shares = [int(name[:4], 16) / 0xFFFF for name in batch.custom.hashes]
        return {self.key: 100 * torch.tensor(shares, dtype=torch.float64)}


@pytest.fixture
def searched(
    cli: Cli, frozen: testset.TestSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[object, Path]]:
    """Runs a search in the miniature benchmark; returns click's result and the file of trials."""
    testset.save(frozen.folder.parent / "mini-val", make_triples(4), "# mini-val\n")
    monkeypatch.setattr(MiniSuite, "validation", "mini-val")
    monkeypatch.setattr(MiniSuite, "metrics", lambda self, device: [Stub("hit_rate"), Stub("kept")])

    def run(text: str, *words: object) -> tuple[object, Path]:
        (tmp_path / "tiny.yaml").write_text("suite: mini\nlimit: 2\n" + text)
        where = ("--space", tmp_path / "tiny.yaml", "--runs", tmp_path / "runs", "--to", tmp_path / "search")
        return cli("search", *where, "--device", "cpu", *words), tmp_path / "search" / "tiny.jsonl"

    return run


def test_a_grid_is_tried_kept_and_gone_on_with(searched: Callable[..., tuple[Any, Path]], tmp_path: Path) -> None:
    text = "sampler: grid\nfixed: {stage2.steps: 1}\nspace:\n  spf.align_t_min: [0, 900]\n  spf.align_t_max: [500]\n"
    done, path = searched(text, "--trials", 1)
    assert done.exit_code == 0, done.output
    done, _ = searched(text)
    assert done.exit_code == 0, done.output
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert head["testset"] == "mini-val" and "harmonic mean" in head["score"]
    assert [line["reference"] for line in lines[:3]] == ["original", "prompt_only", "naive"]
    first, second = lines[3:]
    assert first["status"] == "finished" and 0 <= first["score"] <= 1 and first["seconds"] > 0
    assert first["settings"] == {"spf.align_t_min": 0, "spf.align_t_max": 500}
    assert first["scores"]["kept"]["n"] == 2 and "commit" in first and first["runs"][0].startswith("spf-")
    assert second["status"] == "refused" and "align_t_max" in second["why"] and second["score"] is None
    assert len(list((tmp_path / "runs/cache/checkpoints").glob("stage1-*"))) == 1
    with path.open("a") as file:
        file.write('{"trial": 2, "torn')
    done, _ = searched(text)
    assert done.exit_code == 0 and "trial 0" in done.stdout and path.read_text().endswith("\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("testset: mini\nspace: {spf.norm: [mse]}\n", "validation triples alone"),
        ("space: {spf.norm: mse}\n", "neither a list nor a range"),
        ("space: {spf.w_text: {low: 2, high: 1}}\n", "does not lie above"),
        ("sampler: grid\nspace: {spf.w_text: {low: 0, high: 1}}\n", "give it a step"),
        ("spcae: {spf.norm: [mse]}\nlimit: 0\n", "did you mean 'space'"),
    ],
)
def test_searches_that_cannot_be(searched: Callable[..., tuple[Any, Path]], text: str, complaint: str) -> None:
    done, path = searched(text.replace("limit: 0\n", ""))
    assert done.exit_code == 2 and complaint in done.stderr and "Traceback" not in done.output
    assert not path.exists()


def test_a_suite_that_does_not_measure_the_score_is_refused_before_anything_is_trained(
    searched: Callable[..., tuple[Any, Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(MiniSuite, "metrics", lambda self, device: [Stub("hit_rate")])
    done, path = searched("space: {spf.norm: [mse]}\n")
    assert done.exit_code == 2 and "compared by kept" in done.stderr and "Traceback" not in done.output
    assert not path.exists() and not (tmp_path / "runs").exists()


def test_another_search_of_the_same_name_is_refused(searched: Callable[..., tuple[Any, Path]]) -> None:
    text = "sampler: grid\nspace: {spf.align_t_max: [1]}\nfixed: {spf.norm: l1}\n"
    assert searched(text)[0].exit_code == 0  # its one trial is refused, for there is no such norm
    done, _ = searched(text.replace("l1", "l3"))
    assert done.exit_code == 2 and "it differs in fixed" in done.stderr


def test_the_declared_score() -> None:
    def scores(hit: float, kept: float) -> dict[str, Any]:
        return {"hit_rate": {"mean": hit}, "kept": {"mean": kept}}

    original = scores(20, 100)
    assert score_of(original, original) == 0
    assert score_of(scores(60, 50), original) == pytest.approx(0.5)
    assert score_of(scores(100, 100), original) == 1 and score_of(scores(10, 90), original) == 0


@pytest.mark.parametrize(
    ("scores", "original"),
    [((60, 50), (100, 100)), ((60, 50), (None, 100)), ((None, 50), (20, 100)), ((60, None), (20, 100))],
)
def test_what_gives_no_score_is_told(scores: tuple[Any, Any], original: tuple[Any, Any]) -> None:
    given = ({"hit_rate": {"mean": hit}, "kept": {"mean": kept}} for hit, kept in (scores, original))
    with pytest.raises(UserError, match="has no score") as refused:
        score_of(*given)
    assert "choose more triples" in refused.value.fix


def config(sampler: str, **space: Any) -> SearchConfig:
    return SearchConfig("tiny", space, sampler=sampler)  # type: ignore[arg-type]


def test_ranges_and_choices() -> None:
    found = dimensions(
        config("random", a=[1, "x"], b={"low": 2, "high": 6, "step": 2}, c={"low": 1, "high": 9, "log": True})
    )
    assert found["a"] == Choice((1, "x")) and isinstance(found["c"], Range)
    assert found["b"].values() == [2, 4, 6]
    assert Range(0, 0.3, step=0.1).values() == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_resumed_search_draws_what_an_undisturbed_one_would(sampler: str) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    asked = config(sampler, a=["x", "y"], b={"low": 0.1, "high": 1, "log": True}, c={"low": 1, "high": 5, "step": 2})
    done: list[tuple[dict[str, Any], float | None]] = []
    for number in range(3):
        chosen = propose(asked, number, done)
        assert chosen == propose(asked, number, list(done))
        assert chosen["a"] in ("x", "y") and 0.1 <= chosen["b"] <= 1 and chosen["c"] in (1, 3, 5)
        done.append((chosen, None if number == 1 else 0.5))
    assert done[0] != done[2]


def test_a_grid_has_an_end(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("sampler: grid\nspace:\n  a: [1, 2]\n  b: {low: 0, high: 1, step: 0.5}\n")
    assert read(file).total == 6
    file.write_text("space: {}\nseeds: 0\n")
    with pytest.raises(ConfigError) as error:
        read(file)
    assert "seeds" in str(error.value) and "space" in str(error.value)
