"""What would be lost after hours of training is said before it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.naive import Naive
from spf_bench.errors import UserError
from spf_bench.files.store import read_json, write_json
from spf_bench.models.backbone import Backbone
from spf_bench.models.checkpoint import refuse_foreign
from spf_bench.progress import Silent
from spf_bench.run import preflight
from spf_bench.run.execute import execute
from spf_bench.run.given import Given
from spf_bench.run.plan import Run
from spf_bench.suite import Preset, Suite


def lengthened(run: Run, rows: range) -> Run:
    """The run on a test set whose triples at ``rows`` have texts that no encoder reads to their end."""
    triples = [replace(t, base=f"{'red ' * 60}{i}") if i in rows else t for i, t in enumerate(run.testset.triples)]
    return replace(run, testset=replace(run.testset, triples=tuple(triples)))


def test_texts_that_are_too_long_are_named_before_anything_is_trained(
    planned: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spf_bench.run.execute.train", lambda *_: pytest.fail("trained first"))
    with pytest.raises(UserError) as caught:
        execute(lengthened(planned("naive"), range(1, 3)), Silent())
    assert caught.value.what == "4 texts of mini are longer than the text encoder reads"  # base and complete of two
    assert len(caught.value.problems) == 4 and "tokens, it reads 40" in str(caught.value)
    assert "mini" in str(caught.value) and not (planned("naive").runs / "cache").exists()


def test_many_long_texts_are_counted(planned: Callable[..., Run]) -> None:
    with pytest.raises(UserError) as caught:
        preflight.check(lengthened(planned("naive"), range(6)))
    assert caught.value.what.startswith("12 texts") and "and 2 more" in str(caught.value)


def test_a_long_text_behind_the_limit_stops_nothing(planned: Callable[..., Run]) -> None:
    preflight.check(lengthened(planned("naive", limit=3), range(4, 6)))
    with pytest.raises(UserError, match="2 texts"):
        preflight.check(lengthened(planned("naive", limit=3), range(2, 4)))  # one of the two is within it


def test_a_folder_without_a_unet_is_no_checkpoint(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no UNet"):
        backbone.use_unet(tmp_path)


def test_a_unet_of_another_base_model_is_refused_with_all_that_differs(backbone: Backbone, tmp_path: Path) -> None:
    backbone.unet.save_pretrained(tmp_path)
    backbone.use_unet(tmp_path)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "sample_size": 64, "in_channels": 9})
    with pytest.raises(UserError, match="another base model") as caught:
        refuse_foreign(tmp_path, backbone.original_unet.config)
    assert {problem.subject: problem.why for problem in caught.value.problems} == {
        "sample_size": "64, not 16",
        "in_channels": "9, not 4",
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--method", "naive", "--method", "lora", "--set", "rank=0"), "2 of 3 methods cannot run as asked"),
        (("--method", "lora", "--set", "rank=0"), "rank"),
        (("--method", "lora", "--set", "rank=1.5"), "rank"),
        (("--method", "adalora", "--set", "init_r=8"), "it must be above target_r = 8"),
        (("--method", "lora", "--set", "rank=2", "--set", "targets=[to_queue]"), "did you mean 'to_q'"),
        (("--method", "naive", "--method", "lora"), "the best rank cannot be chosen"),
        (("--method", "naive", "--method", "tokencompose"), "no masks for mini"),
        (("--method", "lora", "--method", "tokencompose"), "2 of 3 methods cannot run as asked"),
        (("--method", "lora", "--method", "tokencompose", "--set", "masks=there"), "2 of 3 methods"),
        (("--method", "nayve"), "did you mean 'naive'"),
        (("--method", "nowhere.py:Mine"), "no such file"),
    ],
)
def test_a_users_mistake_is_told_before_anything_is_trained(
    cli: Callable, installed: dict[str, str], tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    installed |= {"lora": "baselines.lora.method:LoRA", "adalora": "baselines.adalora.method:AdaLoRA"}
    installed |= {"tokencompose": "baselines.tokencompose.method:TokenCompose"}
    runs = tmp_path / "runs"
    done = cli("run", *words, "--suite", "mini", "--runs", runs, "--device", "cpu")
    assert done.exit_code == 2 and complaint in done.stderr and "Traceback" not in done.output
    assert not list(runs.rglob("unet")) and not list(runs.rglob("checkpoint.pt"))


def test_a_method_is_asked_whether_it_can_train_here(planned: Callable[..., Run]) -> None:
    class Picky(Naive):
        def preflight(self, suite: Suite, preset: Preset) -> None:
            raise UserError(f"nothing to train on in {suite.name} with {preset.samples}", "", "another suite")

    run = replace(planned("naive"), method=Picky())
    with pytest.raises(UserError, match="nothing to train on in mini with 4"):
        preflight.check_settings([run])
    given = Given(Path("mine"), Path("mine"), "0" * 64, {})
    preflight.check_settings([planned("naive"), replace(run, given=given)])  # nothing is trained
