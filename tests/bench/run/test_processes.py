"""Processes that were launched together make what one makes, and none outlives another by more than seconds."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate import PartialState

from benchmarks import processes
from spf_bench.errors import UserError
from spf_bench.metrics.feature_store import FeatureStore
from spf_bench.models.backbone import Backbone
from spf_bench.originals.build import Build
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.scoring import one_pass
from spf_bench.scoring.folders import score_folders
from spf_bench.share import Share
from tests.bench.launched import launched
from tests.bench.originals.conftest import files
from tests.bench.run.test_kill import same
from tests.bench.scoring.conftest import Theirs

Planned = Callable[..., Run]
SOON = 30.0  # seconds, on a machine with much else to do; nothing here takes two by itself


def counted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every process note what it samples and measures, a letter a batch."""

    def counting(name: str, function: Callable) -> Callable:
        def call(*arguments: object) -> object:
            with (place / f"{name}-{os.environ.get('RANK', '0')}").open("a") as file:
                file.write("x")
            return function(*arguments)

        return call

    monkeypatch.setattr(Backbone, "render", counting("render", Backbone.render))
    monkeypatch.setattr(one_pass, "measure", counting("measure", one_pass.measure))


def test_a_run_of_two_is_a_run_of_one(planned: Planned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone, both = planned("naive", "alone", batch=2), planned("naive", "both", batch=2)
    monkeypatch.setattr(one_pass, "BATCH", 2)
    expected = execute(alone, Silent())
    counted(tmp_path, monkeypatch)

    def work(share: Share) -> None:
        assert execute(both, Silent(), share).scores == expected.scores  # in each of them

    assert launched(work)[0] == [0, 0]
    turns = {path.name: len(path.read_text()) for path in tmp_path.glob("*-[01]")}
    assert turns == {
        "render-0": 4,
        "render-1": 2,
        "measure-0": 2,
        "measure-1": 1,
    }  # of 3 batches each, 2 are the main's
    same(both, alone)
    store = FeatureStore(both.cache / "features")
    known = [len(store.of(encoder)) for metric in both.suite.metrics("cpu") for encoder in metric.encoders]
    assert set(known) == {6}  # no process has lost another's


def test_a_scoring_of_two_is_a_scoring_of_one(theirs: Theirs, tmp_path: Path, suite: object, frozen: object) -> None:
    def scored(runs: str, share: Share) -> RunRecord:
        places = (theirs.originals, theirs.images, theirs.captions)
        return score_folders(
            *places, out=tmp_path / runs, suite="mini", device="cpu", batch=2, say=lambda text: None, share=share
        )

    expected = scored("alone", Share())
    assert launched(lambda share: scored("both", share))[0] == [0, 0]
    found = scored("both", Share())  # nothing is left to do
    assert found.scores == expected.scores and found.images_sha256 == expected.images_sha256
    tables = [(tmp_path / runs / found.testset.name / found.run / "scores.parquet") for runs in ("alone", "both")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_build_of_two_is_a_build_of_one(planned_build: Callable[..., Build], whole: dict[str, bytes]) -> None:
    def work(share: Share) -> None:
        build = planned_build(share=share)
        build.check()
        assert build.execute(Silent())

    assert launched(work)[0] == [0, 0]
    assert files(planned_build().folder) == whole


def test_the_benchmark_times_every_stage(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "SUITE", "mini")
    PartialState._reset_state()  # its processes are forked, and would take over what an earlier test has asked for
    processes.main(["--quick", "--json", str(tmp_path / "found.json")])
    figures = json.loads((tmp_path / "found.json").read_text())["figures"]
    assert all(seconds > 0 for world in ("1", "2") for seconds in figures[world].values())
    assert figures["2"].keys() == {"originals", "generate", "score", "train"} and "sooner" in capsys.readouterr().out


@pytest.mark.parametrize("rank", [0, 1])
def test_what_kills_one_ends_all_and_costs_nothing(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    run, alone = planned("prompt_only", batch=2), planned("prompt_only", "alone", batch=2)
    render, calls = Backbone.render, iter(range(10))

    def dying(self: Backbone, *arguments: object) -> object:
        if os.environ["RANK"] == str(rank) and next(calls) == 2 - rank:  # the first after its share of the originals
            os.kill(os.getpid(), signal.SIGKILL)
        return render(self, *arguments)  # type: ignore[arg-type]

    def work(share: Share) -> None:
        monkeypatch.setattr(Backbone, "render", dying)
        with pytest.raises(UserError, match="another process of this launch has ended"):
            execute(run, Silent(), share)

    codes, seconds = launched(work)
    assert codes[rank] == -signal.SIGKILL and codes[1 - rank] == 0 and seconds < SOON
    execute(alone, Silent())
    same(run, alone)


def test_a_command_that_shares_nothing_refuses_company(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="this command is one process's"):
        execute(planned("prompt_only"), Silent())
    assert not planned("prompt_only").folder.exists()


def test_a_mistake_that_the_main_process_meets_ends_all(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned("naive")

    def failing(job: object) -> Path:
        raise UserError("cannot train")

    monkeypatch.setattr(type(run.method), "train", lambda self, job: failing(job))

    def work(share: Share) -> None:
        with pytest.raises(UserError, match="cannot train" if share.main else "another process"):
            execute(run, Silent(), share)

    codes, seconds = launched(work)
    assert codes == [0, 0] and seconds < SOON
