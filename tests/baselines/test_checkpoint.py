"""A checkpoint that the user names is one of the method, on the base model, finished and whole, or is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.checkpoint import accepted
from spf_bench.errors import UserError
from spf_bench.files.store import read_json, write_json
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import execute
from spf_bench.run.given import Given
from spf_bench.run.plan import Run
from spf_train.base_model import base_digest
from tests.bench.conftest import cli, frozen, installed, planned, suite  # noqa: F401

Planned = Callable[..., Run]


@pytest.fixture
def trained(planned: Planned, pipe_dir: Path, tmp_path: Path) -> Path:  # noqa: F811
    """What ``spf-bench train`` leaves, as far as a run looks at it: two stages and a pipeline."""
    out, base = tmp_path / "trained", base_digest(pipe_dir)
    identity = {"stage": {}, "seed": 0, "original": base}
    for name, more in (("stage1", {}), ("stage2", {"spf": {}})):
        shutil.copytree(pipe_dir / "unet", out / name / "unet")
        write_json(out / name / "run.json", identity | more)
        write_json(out / name / "finished.json", {"steps": 3})
    shutil.copytree(pipe_dir, out / "pipeline")
    stages = [{"name": name, "identity": read_json(out / name / "run.json")} for name in ("stage1", "stage2")]
    write_json(out / "pipeline" / "training.json", {"base": "tiny", "stages": stages})
    return out


def refused(run: Run, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        Given.of(folder, run.method, run.suite)
    return str(caught.value)


def test_a_training_is_found_in_every_form(planned: Planned, trained: Path) -> None:  # noqa: F811
    spf, naive = planned("spf"), planned("naive")
    assert accepted(spf.method, trained, spf.suite) == trained / "stage2"
    assert accepted(naive.method, trained, naive.suite) == trained / "stage1"
    forms = [trained, trained / "stage2", trained / "stage2" / "unet", trained / "pipeline"]
    given = [Given.of(folder, spf.method, spf.suite) for folder in forms]
    assert [one.folder.name for one in given] == ["stage2", "stage2", "stage2", "pipeline"]
    assert len({one.sha256 for one in given}) == 1  # the same weights, wherever they lie
    shutil.copytree(trained / "stage2" / "unet", bare := trained.parent / "bare")
    assert Given.of(bare, spf.method, spf.suite).told == {}
    assert Given.of(bare, spf.method, spf.suite).sha256 == given[0].sha256


def test_those_of_others_are_refused(planned: Planned, trained: Path) -> None:  # noqa: F811
    spf, naive = planned("spf"), planned("naive")
    assert "naive made it" in refused(spf, trained / "stage1")
    assert "spf made it" in refused(naive, trained / "stage2") and "spf made it" in refused(naive, trained / "pipeline")
    assert "takes no checkpoint" in refused(planned("prompt_only"), trained)
    identity = read_json(trained / "stage2" / "run.json")
    write_json(trained / "stage2" / "run.json", identity | {"original": "0" * 64})
    assert "trained from another base model" in refused(spf, trained)
    write_json(trained / "stage2" / "run.json", {"method": "lora"})
    assert "lora made it" in refused(spf, trained)


def test_one_of_the_cache_on_another_model_is_refused(planned: Planned, trained: Path) -> None:  # noqa: F811
    facts = {"finished": True, "facts": {"pipeline": "0" * 64}}
    write_json(trained / "stage2" / "artifact.json", facts)
    assert "trained from another base model" in refused(planned("spf"), trained)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda out: shutil.rmtree(out / "stage2" / "unet"), "naive made it"),
        (lambda out: (out / "stage2" / "finished.json").rename(out / "stage2" / "checkpoint.pt"), "is not finished"),
        (lambda out: write_json(out / "stage2" / "artifact.json", {"finished": False}), "is not finished"),
        (lambda out: [cut(file) for file in (out / "stage2" / "unet").glob("*.safetensors")], "is cut short"),
        (lambda out: [f.rename(f.with_suffix(".bin")) for f in (out / "stage2" / "unet").glob("*.safe*")], "a pickle"),
        (lambda out: [f.unlink() for f in (out / "stage2" / "unet").glob("*.safe*")], "a config and no weights"),
        (lambda out: widen(out / "stage2" / "unet" / "config.json"), "block_out_channels"),
        (lambda out: shutil.rmtree(out), "no such folder"),
    ],
)
def test_damage_is_told_before_anything_is_made(
    planned: Planned, trained: Path, damage: Callable[[Path], object], complaint: str  # noqa: F811
) -> None:  # fmt: skip
    damage(trained)
    assert complaint in refused(planned("spf"), trained)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def widen(config: Path) -> None:
    write_json(config, read_json(config) | {"block_out_channels": [64, 128]})


def test_a_run_with_a_checkpoint_trains_nothing_and_says_where_it_came_from(
    planned: Planned, cli: Callable, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    own = planned("naive", "own")
    expected = execute(own, Silent())
    folder = own.cache / "checkpoints" / expected.training["stage1"]["folder"]
    words = ("run", "--method", "naive", "--suite", "mini", "--device", "cpu", "--runs", tmp_path / "runs")
    done = cli(*words, "--checkpoint", folder)
    assert done.exit_code == 0, done.output
    (path,) = (tmp_path / "runs" / "mini").glob("naive-*/record.json")
    record = RunRecord.load(path)
    assert record.scores == expected.scores or record.batch != expected.batch
    assert (record.preset, record.seed, record.training, record.method.trains) == (None, None, {}, False)
    told = record.facts["checkpoint"]
    assert told["folder"] == str(folder) and told["told"]["finished"]
    assert record.method.changes == [f"checkpoint={told['sha256'][:8]}"] and "checkpoint=" in done.stdout
    assert f"--checkpoint {folder}" in record.command and "--preset" not in record.command
    assert not list((tmp_path / "runs" / "cache").glob("checkpoints"))
    assert "done before" in cli(*words, "--checkpoint", folder).stderr
    for extra in (("--seed", 1), ("--set", "stage1.lr=1"), ("--preset", "quick")):
        assert f"{extra[0]} would say how to train it" in cli(*words, "--checkpoint", folder, *extra).stderr
    assert "is one method's" in cli(*words, "--method", "spf", "--checkpoint", folder).stderr
