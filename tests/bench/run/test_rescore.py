"""``spf-bench rescore``: records brought up to today's metrics, from images that are as they were and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spf_bench.errors import UserError
from spf_bench.files.store import read_json
from spf_bench.metrics.clip_t import ClipT
from spf_bench.metrics.pixel import PSNR, PixelEncoder
from spf_bench.progress import Silent
from spf_bench.record import RECORD, RunRecord
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.run.rescore import rescore
from spf_bench.table.model import build, collect
from spf_bench.triple import image
from tests.bench.conftest import MiniSuite

Planned = Callable[..., Run]
MEANING = "spf_bench.scoring.fingerprint.MEANING"


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Halves CLIP-T, and says that scores mean something else now; nothing may be sampled any more."""
    before = ClipT.score

    def change() -> None:
        monkeypatch.setattr(ClipT, "score", lambda self, batch: {k: v / 2 for k, v in before(self, batch).items()})
        monkeypatch.setattr(MEANING, 2)
        monkeypatch.setattr("spf_bench.models.backbone.Backbone.render", lambda *_: pytest.fail("sampled"))

    return change


def test_scores_are_todays_and_all_else_is_as_it_was(planned: Planned, changed: Callable[[], None]) -> None:
    run = planned("naive", limit=5)
    before = execute(run, Silent())
    changed()
    after = rescore(run.folder, run.runs, "cpu", Silent())
    assert after is not None and after == RunRecord.load(run.folder / RECORD)
    assert after.scores["all"]["clip_t"].mean == pytest.approx(before.scores["all"]["clip_t"].mean / 2)
    assert after.scores["all"]["clip_i"] == before.scores["all"]["clip_i"]
    table = pd.read_parquet(run.folder / "scores.parquet")
    assert table["clip_t"].mean() == pytest.approx(after.scores["all"]["clip_t"].mean)
    assert after.scoring != before.scoring and after.scored_in is not None and before.scored_in is None
    kept = replace(
        after, scores=before.scores, scoring=before.scoring, scoring_code=before.scoring_code, scored_in=None,
        seconds=before.seconds, memory=before.memory,
    )  # fmt: skip
    assert kept == before
    assert after.seconds.keys() == before.seconds.keys() and after.seconds["generate"] == before.seconds["generate"]
    assert read_json(run.folder / "costs.json")["seconds"]["generate"] > 0


def test_what_is_up_to_date_is_left_alone(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned("prompt_only")
    execute(run, Silent())
    written = (run.folder / RECORD).read_bytes()
    monkeypatch.setattr(MiniSuite, "metrics", lambda *_: pytest.fail("scored"))
    assert rescore(run.folder, run.runs, "cpu", Silent()) is None
    assert (run.folder / RECORD).read_bytes() == written


def test_a_kill_between_scores_and_record_is_healed(
    planned: Planned, changed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned("prompt_only")
    execute(run, Silent())
    changed()
    with monkeypatch.context() as patched:
        patched.setattr(RunRecord, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rescore(run.folder, run.runs, "cpu", Silent())
    after = rescore(run.folder, run.runs, "cpu", Silent())
    assert after is not None
    assert pd.read_parquet(run.folder / "scores.parquet")["clip_t"].mean() == pytest.approx(
        after.scores["all"]["clip_t"].mean
    )


def lost(run: Run) -> None:
    image(run.images, run.triples[1]).unlink()


def altered(run: Run) -> None:
    image(run.images, run.triples[1]).write_bytes(image(run.images, run.triples[0]).read_bytes())


def other_originals(run: Run) -> None:
    image(run.originals, run.triples[1]).write_bytes(image(run.originals, run.triples[0]).read_bytes())


def no_originals(run: Run) -> None:
    run.originals.rename(run.runs / "elsewhere")


def other_captions(run: Run) -> None:
    from spf_bench import testset

    testset.save(run.testset.folder, run.testset.triples[:5], "# mini\n")


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lost, "its images are not here"),
        (altered, "its images are not those that were scored"),
        (other_originals, "its original portraits are not as they were made"),
        (no_originals, "its original portraits are not here"),
        (other_captions, "mini is not the version that it was run on"),
    ],
)
def test_nothing_else_is_scored(
    damage: Callable[[Run], None], what: str, planned: Planned, changed: Callable[[], None]
) -> None:
    run = planned("prompt_only")
    record = execute(run, Silent())
    changed()
    damage(run)
    with pytest.raises(UserError, match=what) as error:
        rescore(run.folder, run.runs, "cpu", Silent())
    assert error.value.fix == record.command and RunRecord.load(run.folder / RECORD) == record


def test_the_command_renews_what_it_can_and_names_the_rest(
    planned: Planned, cli: Callable[..., Any], changed: Callable[[], None]
) -> None:
    runs = [planned(name) for name in ("original", "prompt_only", "naive")]
    records = [execute(run, Silent()) for run in runs]
    changed()
    lost(runs[1])
    result = cli("rescore", "--runs", runs[0].runs, "--device", "cpu")
    assert result.exit_code == 2 and "2 of 3 runs scored again, 0 were up to date" in result.output
    said = " ".join(result.stderr.split())
    assert f"{runs[1].folder.name} its images are not here {records[1].command}" in said
    assert "1 of 3 runs were not scored" in said
    assert [len(table.rows) for table in build(collect(runs[0].runs))] in ([1, 2], [2, 1])
    again = cli("rescore", runs[0].folder, runs[2].folder, "--device", "cpu")
    assert again.exit_code == 0 and "0 of 2 runs scored again, 2 were up to date" in again.output


def test_a_metric_asked_for_since_is_computed(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned("prompt_only")
    assert execute(run, Silent()).columns[-1].key == "clip_t"
    monkeypatch.setattr(MiniSuite, "on_request", ("psnr",))
    others = MiniSuite.metrics
    monkeypatch.setattr(MiniSuite, "metrics", lambda *a: [*others(*a), PSNR(PixelEncoder())])
    monkeypatch.setattr("spf_bench.models.backbone.Backbone.render", lambda *_: pytest.fail("sampled"))
    assert execute(run, Silent()).scores["all"]["psnr"].n == 6
    assert rescore(run.folder, run.runs, "cpu", Silent()) is None


def test_no_column_is_lost_and_no_other_network_asked(planned: Planned, changed: Callable[[], None]) -> None:
    run = planned("prompt_only")
    record = execute(run, Silent())
    first = record.columns[0]
    replace(
        record,
        columns=[*record.columns, replace(first, key="lpips_vgg"), replace(first, key="somebodys")],
        weights={**record.weights, "pipeline": "0" * 64, "judge_clip": record.weights["judge_clip"] + " in bfloat16"},
    ).save(run.folder)
    changed()
    with pytest.raises(UserError, match="scored in other ways") as error:
        rescore(run.folder, run.runs, "cpu", Silent())
    assert [(problem.subject, problem.fix) for problem in error.value.problems] == [
        ("lpips_vgg", "--also lpips_vgg"),
        ("somebodys", "install the package that it came with"),
        ("precision", "--precision bfloat16"),
        ("base model", "--base MODEL"),
    ]


def test_a_damaged_run_elsewhere_is_mended(planned: Planned, tmp_path: Path) -> None:
    run = planned("prompt_only")
    record = execute(run, Silent())
    (run.runs / "cache").rename(tmp_path / "cache")
    (run.folder / "scores.parquet").write_bytes(b"PAR1")
    after = rescore(run.folder, tmp_path, "cpu", Silent())
    assert after is not None and after.scores == record.scores


def test_images_of_others_are_scored_by_their_own_command(planned: Planned, changed: Callable[[], None]) -> None:
    run = planned("prompt_only")
    record = execute(run, Silent())
    replace(record, facts={"made": "elsewhere"}).save(run.folder)
    changed()
    with pytest.raises(UserError, match="its images were made elsewhere"):
        rescore(run.folder, Path("runs"), "cpu", Silent())
