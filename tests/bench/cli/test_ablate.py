"""Ablations and sweeps: settings changed from outside, stages shared, means over seeds, the paper's claims."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from baselines import variants
from baselines.ablation import method_of
from baselines.claims import CLAIMS, check, verdict
from baselines.experiment import Experiment
from baselines.records import same_run
from baselines.sweep import plan
from baselines.training import config_of
from spf_bench.errors import UserError
from spf_bench.progress import Silent
from spf_bench.record import Score
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.suite import Preset
from spf_bench.table.model import ALL, Entry, build
from spf_bench.table.seeds import differences, merge
from spf_bench.table.together import mean_frame, seed_half
from tests.bench.conftest import MiniSuite

Cli = Callable[..., object]
WORLD = Preset("default", trainer="world", samples=1)
COMMON = ("--suite", "mini", "--device", "cpu", "--limit", 4)


def run_of(planned: Callable[..., Run], *changes: str, seed: int = 0) -> Run:
    run = planned("spf")
    return replace(run, method=run.method.with_changes(changes), seed=seed)


def entry(run: Run) -> Entry:
    return Entry(execute(run, Silent()), run.folder)


def test_changes_make_another_run_and_stand_in_record_command_and_table(planned: Callable[..., Run]) -> None:
    plain, changed = run_of(planned), run_of(planned, "spf.norm=l2")
    assert plain.folder != changed.folder and run_of(planned, "spf.norm=mse").folder == plain.folder
    record = entry(changed).record
    assert record.method.changes == ["spf.norm=l2"] and record.method.config["spf"]["norm"] == "l2"
    assert record.command.endswith("--set spf.norm=l2")
    table = build([entry(plain), entry(changed)])[0]
    assert {row.label for row in table.rows} == {"SPF", "SPF (spf.norm=l2)"}


def test_stage_1_is_shared_by_all_that_leave_it_alone(planned: Callable[..., Run]) -> None:
    runs = [run_of(planned), run_of(planned, "spf.w_text=0"), run_of(planned, "stage2=null")]
    folders = {entry(run).record.training["stage1"]["folder"] for run in runs}
    assert len(folders) == 1
    assert "stage1" not in entry(run_of(planned, "stage1=null")).record.training
    assert len(entry(runs[2]).record.training) == 1


@pytest.mark.parametrize("trainable", ["lora", "adapter"])
def test_what_stage_2_adds_is_trained_kept_and_sampled(planned: Callable[..., Run], trainable: str) -> None:
    record = entry(run_of(planned, f"stage2.trainable={trainable}", "stage2.lr=0.1")).record
    stages = [record.training[stage]["trainable_parameters"] for stage in ("stage1", "stage2")]
    assert 0 < stages[1] < stages[0]


@pytest.mark.parametrize(
    ("method", "changes", "complaint"),
    [
        ("prompt_only", ("spf.norm=l2",), "has no settings"),
        ("naive", ("spf.norm=l2",), "it is stage 1 alone"),
        ("spf", ("seed=3",), "use --seed"),
        ("spf", ("stage1=null", "stage2=null"), "nothing to train"),
        ("spf", ("spf.nrom=l2", "stage2.batch=0"), "did you mean 'spf.norm'"),
    ],
)
def test_changes_that_cannot_be_are_refused_before_training(
    cli: Cli, tmp_path: Path, method: str, changes: tuple[str, ...], complaint: str
) -> None:
    words = [word for change in changes for word in ("--set", change)]
    result = cli("run", "--method", method, *COMMON, "--runs", tmp_path / "runs", *words)
    assert result.exit_code == 2 and complaint in result.stderr and "Traceback" not in result.output
    assert not list(tmp_path.glob("runs/cache/checkpoints/*"))


def test_every_variant_is_a_configuration_that_differs_from_the_method() -> None:
    for number, ablation in variants.ABLATIONS.items():
        configs = [config_of(WORLD, variant.changes) for variant in ablation.variants]
        assert len({str(config) for config in configs}) == len(configs), number
        reference = next(v for v in ablation.variants if v.name == ablation.reference)
        if number == "4":  # the paper's SPF trains cross-attention; the world's preset is the row "Full weights"
            reference = next(v for v in ablation.variants if v.name == "all")
        assert config_of(WORLD, reference.changes) == config_of(WORLD)


def test_every_claim_is_about_a_variant_that_some_table_has() -> None:
    known = {variant.name for ablation in variants.ABLATIONS.values() for variant in ablation.variants}
    assert {claim.variant for claim in CLAIMS} <= known


def score(mean: float, half: float) -> Score:
    return Score(mean, mean - half, mean + half, 4, 0, None)


def test_a_claim_holds_where_the_whole_interval_says_so() -> None:
    assert verdict(score(-0.2, 0.1), -1) == "holds" and verdict(score(0.2, 0.1), -1) == "does not hold"
    assert (
        verdict(score(-0.2, 0.3), -1) == "undecided" and verdict(Score(None, None, None, 0, 4, None), 1) == "undecided"
    )
    found = {"no_enh": {"clip_t": score(-0.2, 0.1)}, "no_fine": {"id": score(0.1, 0.2)}}
    told = {claim.variant: verdicts for claim, verdicts in check(found)}
    assert told == {"no_enh": {"clip_t": "holds"}, "no_fine": {"id": "undecided"}}


def test_means_over_seeds_have_wider_intervals_than_their_seeds(planned: Callable[..., Run]) -> None:
    entries = [entry(run_of(planned, seed=seed)) for seed in (0, 1)]
    merged = merge(entries, "SPF")
    values = [e.record.scores[ALL]["clip_t"].mean for e in entries]
    whole = merged.record.scores[ALL]["clip_t"]
    assert whole.mean == pytest.approx(sum(values) / 2)
    assert whole.hi - whole.mean >= seed_half(values) > 0
    pd.testing.assert_frame_equal(mean_frame(entries[:1]).sort_index(axis=1), entries[0].scores().sort_index(axis=1))
    assert merged.record.method.title == "SPF" and merged.record.seed is None
    nothing = differences(entries, entries)["clip_t"]
    assert (nothing.mean, nothing.lo, nothing.hi) == (0, 0, 0)


def test_students_interval() -> None:
    assert seed_half([1.0]) == 0
    assert seed_half([1.0, 2.0, 3.0]) == pytest.approx(4.302652729911275 / 3**0.5)


def test_ablate_prints_the_papers_table(cli: Cli, tmp_path: Path) -> None:
    done = cli("ablate", "--table", "5", *COMMON, "--runs", tmp_path / "runs", "--published")
    assert done.exit_code == 0, done.output
    assert "Table 5: stages; mean of 1 seed; mini: n = 4" in done.stdout and "Only stage 2" in done.stdout
    assert "minus Both stages (SPF)" in done.stdout and "claim 7, stage 2 alone" in done.stdout
    assert "Table 5 of arXiv" in done.stdout
    assert len(list((tmp_path / "runs" / "mini").glob("*/record.json"))) == 2 + 3
    stages = [folder.name.split("-")[0] for folder in (tmp_path / "runs/cache/checkpoints").iterdir()]
    assert (stages.count("stage1"), stages.count("stage2")) == (1, 2)
    words = ("--records", tmp_path / "runs", "--runs", tmp_path / "other", "--published")
    again = cli("ablate", "--table", "5", *COMMON, *words)
    assert again.stdout == done.stdout and not (tmp_path / "other").exists()


def test_a_record_counts_as_done_where_it_answers_the_same_question(planned: Callable[..., Run]) -> None:
    run = run_of(planned, "spf.w_text=0.3")
    done = entry(run)
    assert same_run(run_of(planned, "spf.w_text=0.30"), [done]) is done
    others = (
        run_of(planned), run_of(planned, "spf.w_text=0.3", seed=1), run_of(planned, "stage2=null"), planned("naive"),
        replace(run, limit=5), replace(run, preset=run.suite.preset("quick")),
        replace(run, suite=run.suite.sampled_in("bfloat16")),
    )  # fmt: skip
    assert [same_run(other, [done]) for other in others] == [None] * len(others)
    for change in ({"scoring": "other"}, {"track": "retention"}, {"weights": {}}):
        assert same_run(run, [replace(done, record=replace(done.record, **change))]) is None
    newer = replace(done, record=replace(done.record, created="9999"))
    assert same_run(run, [newer, done]) is newer


def test_a_setting_younger_than_a_record_counts_as_the_preset_has_it(planned: Callable[..., Run]) -> None:
    run = run_of(planned, "spf.w_text=0.3")
    done = entry(run)

    def known(**spf: object) -> Entry:
        config = done.record.method.config
        settings = {**config, "spf": {k: v for k, v in {**config["spf"], **spf}.items() if k != "norm"}}
        return replace(done, record=replace(done.record, method=replace(done.record.method, config=settings)))

    older = known()
    assert same_run(run, [older]) is older
    assert same_run(run_of(planned, "spf.w_text=0.3", "spf.norm=l2"), [older]) is None
    assert same_run(run, [known(forgotten=1)]) is None


@pytest.mark.parametrize(("trainable", "own"), [("all", "all"), ("cross_attention", "spf"), ("lora", "lora")])
def test_the_row_that_is_the_method_is_the_one_with_the_presets_settings(
    suite: MiniSuite, frozen: object, tmp_path: Path, trainable: str, own: str
) -> None:
    changes = [f"stage2.trainable={trainable}"]
    experiment = Experiment.of("mini", None, None, "default", "cpu", None, changes, tmp_path)
    assert method_of(experiment, variants.ABLATIONS["4"]) == own


def test_sweep_prints_and_plots_a_row_for_each_weight(cli: Cli, tmp_path: Path) -> None:
    words = ("--lambda", "text", "--values", "0", "--runs", tmp_path / "runs", "--to", tmp_path / "out")
    done = cli("sweep", *words, *COMMON)
    assert done.exit_code == 0, done.output
    assert "λ_text = 0 " in done.stdout and "λ_text = 0.2" in done.stdout and "w/o SFCM" in done.stdout
    assert (tmp_path / "out" / "sweep.png").is_file() and (tmp_path / "out" / "sweep.json").is_file()


def test_a_sweep_goes_around_the_presets_own_weight(suite: MiniSuite, frozen: object, tmp_path: Path) -> None:
    experiment = Experiment.of("mini", None, None, "default", "cpu", None, None, tmp_path)
    assert list(plan(experiment, ["fine"])[0].variants) == pytest.approx([0, 0.025, 0.05, 0.1, 0.2, 0.4])
    assert list(plan(experiment, ["enhance"], [0.1])[0].variants) == [0.1, 0.6]
    assert list(plan(experiment, ["fine"], factors=[3])[0].variants) == pytest.approx([0.1, 0.3])
    for wrong in ({"values": [-1.0]}, {"factors": [float("nan")]}, {"values": [1.0], "factors": [1.0]}):
        with pytest.raises(UserError):
            plan(experiment, ["fine"], **wrong)
    with pytest.raises(UserError, match="no loss weight is called 'txt'"):
        plan(experiment, ["txt"])
