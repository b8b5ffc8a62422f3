"""The line from test set to record: repeatable, resumable, recomputable."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench.progress import Silent, Task
from spf_bench.record import RunRecord, recompute
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.triple import image

Planned = Callable[..., Run]


def pixels(run: Run) -> dict[str, bytes]:
    return {triple.id: image(run.images, triple).read_bytes() for triple in run.triples}


class Impatient(Silent):
    """Stops everything with Ctrl-C once a task has done something."""

    def __init__(self, task: str) -> None:
        self.unwanted = task
        self.title = ""

    def task(self, title: str, total: int, done: int = 0) -> Task:
        self.title = title
        return self

    def advance(self, units: int = 1) -> None:
        if self.title == self.unwanted:
            raise KeyboardInterrupt

    def update(self, done: int, detail: str = "") -> None:
        self.advance()


def test_two_runs_make_the_same_pixels_and_scores(planned: Planned) -> None:
    first, second = planned("prompt_only", "a"), planned("prompt_only", "b")
    one, two = execute(first, Silent()), execute(second, Silent())
    assert first.folder.name == second.folder.name
    assert pixels(first) == pixels(second)
    assert one.scores == two.scores and one.images_sha256 == two.images_sha256


def test_an_interrupted_run_repeated_equals_an_undisturbed_one(planned: Planned) -> None:
    undisturbed, disturbed = planned("spf", "undisturbed", batch=2), planned("spf", "disturbed", batch=2)
    expected = execute(undisturbed, Silent())
    for task in ("stage 1", "stage 2", "originals", "SPF", "scores"):
        with pytest.raises(KeyboardInterrupt):
            execute(disturbed, Impatient(task))
        assert not (disturbed.folder / "record.json").exists()
    result = execute(disturbed, Silent())
    assert pixels(disturbed) == pixels(undisturbed)
    assert result.scores == expected.scores
    assert not [path for path in disturbed.runs.rglob(".*") if path.is_file()]


def test_a_finished_run_is_not_repeated(planned: Planned) -> None:
    run = planned("prompt_only")
    first = execute(run, Silent())
    shutil.rmtree(run.images)
    assert execute(run, Silent()) == first
    assert not run.images.exists()


def test_other_metrics_code_scores_again_without_sampling_again(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned("prompt_only")
    first = execute(run, Silent())
    monkeypatch.setattr("spf_bench.scoring.fingerprint.CODE", ("spf_bench.metrics",))
    monkeypatch.setattr("spf_bench.models.backbone.Backbone.render", lambda *_: pytest.fail("sampled again"))
    second = execute(run, Silent())
    assert second.scoring_code != first.scoring_code and second.scores == first.scores
    assert second.scoring == first.scoring  # so that both may stand in one table


def test_scores_of_another_meaning_stand_apart(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned("prompt_only")
    first = execute(run, Silent())
    monkeypatch.setattr("spf_bench.scoring.fingerprint.MEANING", 2)
    second = execute(run, Silent())
    assert second.scoring != first.scoring and second.scores == first.scores


def test_the_record_recomputes_from_its_parquet(planned: Planned) -> None:
    run = planned("naive")
    record = execute(run, Silent())
    assert recompute(run.folder, run.suite.metrics("cpu")) == record.scores
    assert RunRecord.load(run.folder / "record.json") == record
    assert {"all", "facial_attributes", "accessories", "image_style"} == set(record.scores)
    assert record.scores["all"]["clip_t"].n == 6 and record.scores["accessories"]["clip_t"].n == 2


def test_the_record_says_what_ran(planned: Planned) -> None:
    record = execute(planned("spf", limit=5), Silent())
    assert (record.n, record.limit, record.preset, record.seed) == (5, 5, "default", 0)
    assert record.testset.size == 6 and len(record.testset.sha256) == 64
    assert record.training["stage1"]["steps"] == 3 and record.training["stage1"]["samples_seen"] == 6
    stages = [record.training[stage]["trainable_parameters"] for stage in ("stage1", "stage2")]
    assert stages[0] > stages[1] > 0
    assert set(record.seconds) == {"train stage1", "train stage2", "originals", "generate", "score"}
    assert set(record.weights) == {"pipeline", "clip", "judge_clip", "checkpoint"}
    assert record.environment.packages["torch"]
    assert (
        record.command == "spf-bench run --method spf --suite mini --testset mini --limit 5 --preset default --seed 0"
    )


def test_spf_takes_over_the_naive_stage(planned: Planned) -> None:
    naive, spf = execute(planned("naive"), Silent()), execute(planned("spf"), Silent())
    assert naive.training["stage1"] == spf.training["stage1"]


def test_original_is_its_own_reference(planned: Planned) -> None:
    run = planned("original")
    record = execute(run, Silent())
    assert record.originals_sha256 == record.images_sha256
    assert record.scores["all"]["clip_i"].mean == pytest.approx(1) and record.scores["all"]["fid"].mean == 0


def test_the_folder_is_named_by_what_decides_the_pixels(planned: Planned) -> None:
    base = planned("naive")
    assert planned("naive").folder == base.folder
    others = [planned("naive", limit=3), planned("naive", preset="quick"), planned("naive", batch=2), planned("spf")]
    assert len({run.folder.name for run in (base, *others)}) == 5
    assert planned("prompt_only").folder == planned("prompt_only", preset="quick").folder


def test_originals_do_not_depend_on_the_limit_they_were_first_made_under(planned: Planned) -> None:
    short, whole = planned("original", "a", limit=2), planned("original", "a")
    execute(short, Silent())
    execute(whole, Silent())
    fresh = planned("original", "b")
    execute(fresh, Silent())
    assert pixels(whole) == pixels(fresh)


def test_a_shipped_original_is_used_and_checked(planned: Planned, tmp_path: Path) -> None:
    from dataclasses import replace

    from spf_bench.errors import UserError
    from spf_bench.files.store import file_sha256

    donor = planned("original")
    execute(donor, Silent())
    triple, source = donor.triples[0], image(donor.images, donor.triples[1])
    (donor.testset.folder / "shipped.png").write_bytes(source.read_bytes())
    shipped = replace(triple, original="shipped.png", sha256=file_sha256(source))
    run = replace(planned("original", "b"), testset=replace(donor.testset, triples=(shipped, *donor.triples[1:])))
    execute(run, Silent())
    assert image(run.images, shipped).read_bytes() == source.read_bytes()
    wrong = replace(run, runs=tmp_path / "c", testset=replace(run.testset, triples=(replace(shipped, sha256="0"),)))
    with pytest.raises(UserError, match="not the original that was frozen"):
        execute(wrong, Silent())
