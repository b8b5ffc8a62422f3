"""The paper's claims about methods: what each comes down to, and when it holds."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.absent import absent
from baselines.claims_sheet import sheet
from baselines.spread import spread_differences
from baselines.standings import STATEMENTS, Finding, findings, told
from spf_bench.errors import UserError
from spf_bench.files.store import write_parquet
from spf_bench.record import SCORES, Column, MethodFacts, RunRecord, Score
from spf_bench.table.layout import Format
from spf_bench.table.model import collect
from spf_bench.table.sheet import render_sheet
from spf_bench.table.together import mean_frame
from spf_bench.tracks import Place
from tests.bench.table.test_table import put

N = 30
KEYS = {"lpips": False, "id": True, "clip_t": True, "seg_cons": True}
LIKE = {"clip_i": "id", "hps": "clip_t", "mps": "clip_t"}
"""Scores that are those of another."""
COLUMNS = [Column(key, key, "preservation", higher, 3, "", "") for key, higher in KEYS.items()]


def run(
    folder: Path, name: str, values: Sequence[float], seed: int | None = 0, track: str = "triples", noise: float = 0.01
) -> None:
    """Write a run whose scores per triple lie around ``values``, in the order of ``KEYS``."""
    trains = name not in ("original", "magnet", "prompt_only")
    rng = np.random.default_rng(zlib.crc32(f"{name} {seed}".encode()))
    parts = list(Place) if track == "sequence" else ["clothing"]
    ids = [f"t{i:02}{'' if len(parts) == 1 else f'-{part}'}" for i in range(N) for part in parts]
    rows = pd.DataFrame({key: v + noise * rng.normal(size=len(ids)) for key, v in zip(KEYS, values, strict=True)}, ids)
    rows = rows.assign(**{key: rows[other] for key, other in LIKE.items()})
    found = {key: Score(float(rows[key].mean()), None, None, N, 0, None) for key in rows}
    found["fid"] = Score(10 * values[0], 10 * values[0] - 0.1, 10 * values[0] + 0.1, N, 0, None)
    record = put(
        folder, name if name in ("original", "naive", "spf") else "naive", columns=COLUMNS,
        scores={"all": found, **{str(part): found for part in parts}}, seed=seed if trains else None, track=track,
        method=MethodFacts(name, name, "tests", {}, trains, name == "original"), preset="default" if trains else None,
        n=N, run=f"{name}-{seed}-{track}",
    )  # fmt: skip
    rows["category"] = [str(part) for _ in range(N) for part in parts]
    if len(parts) > 1:
        rows["origin"] = [name.split("-")[0] for name in rows.index]
    write_parquet(folder / record.run / SCORES, rows.rename_axis("id"))


def verdict(number: int, found: list[Finding]) -> str:
    return told(next(s for s in STATEMENTS if s.number == number), found)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Every method as the paper has it: SPF best, naive worst, TokenCompose and Magnet without regard for regions."""
    run(tmp_path, "original", (0.0, 1.0, 0.1, 100.0), None)
    run(tmp_path, "magnet", (0.45, 0.4, 0.3, 30.0), None)
    for seed in range(3):
        for name, values, noise in (
            ("naive", (0.6, 0.2, 0.3, 57.0), 0.01), ("lora", (0.4, 0.5, 0.3, 60.0), 0.05),
            ("adalora", (0.4, 0.4, 0.3, 62.0), 0.05), ("tokencompose", (0.45, 0.3, 0.3, 40.0), 0.01),
            ("spf", (0.3, 0.6, 0.4, 80.0), 0.01),
        ):  # fmt: skip
            run(tmp_path, name, values, seed, noise=noise)
    return tmp_path


def test_claims_hold_where_every_difference_says_so(whole: Path) -> None:
    found = findings(collect(whole))
    assert {number: verdict(number, found) for number in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), "holds")
    assert verdict(10, found) == verdict(11, found) == "not run"
    text = render_sheet(sheet(found), Format.text)
    assert "claim 4, SPF is best in every column: holds" in text and "spread of lora − spf" in text


def test_one_column_that_says_otherwise_refutes_a_claim(whole: Path) -> None:
    for seed in range(3):
        run(whole, "spf", (0.5, 0.6, 0.4, 80.0), seed)
    assert verdict(4, findings(collect(whole))) == "does not hold"


def unmeasure(path: Path, key: str) -> None:
    """Take a score out of a run, as where other metrics were asked for."""
    record = RunRecord.load(path / "record.json")
    scores = {part: {k: v for k, v in found.items() if k != key} for part, found in record.scores.items()}
    replace(record, scores=scores).save(path)
    frame = pd.read_parquet(path / SCORES).drop(columns=key)
    (path / SCORES).unlink()
    write_parquet(path / SCORES, frame)


@pytest.mark.parametrize(
    ("number", "run", "key", "lacks"),
    [
        (3, "magnet-None-triples", "clip_t", "magnet − original: clip_t"),
        (3, "magnet-None-triples", "seg_cons", "magnet − naive: seg_cons; magnet − lora: seg_cons"),
        (4, "magnet-None-triples", "mps", "spf − magnet: mps"),
        (2, "lora-0-triples", "lpips", "spread of lora − spf: lpips"),
    ],
)
def test_a_score_that_was_not_measured_leaves_a_claim_undecided(
    whole: Path, number: int, run: str, key: str, lacks: str
) -> None:
    unmeasure(whole / run, key)
    found = findings(collect(whole))
    assert verdict(number, found) == "undecided"
    (said,) = [note for note in sheet(found).notes if note.startswith(f"claim {number},")]
    assert ": undecided; not measured in both: " in said and lacks in said


def test_what_is_missing_leaves_a_claim_undecided(tmp_path: Path) -> None:
    run(tmp_path, "original", (0.0, 1.0, 0.1, 100.0), None)
    run(tmp_path, "naive", (0.6, 0.2, 0.3, 57.0))
    run(tmp_path, "spf", (0.3, 0.6, 0.4, 80.0))
    found = findings(collect(tmp_path))
    assert verdict(1, found) == "undecided" and verdict(3, found) == "not run"
    assert "claim 1" in render_sheet(sheet(found), Format.md) and "not run: naive − lora" in sheet(found).notes[0]
    with pytest.raises(UserError, match="no run decides a claim"):
        findings([entry for entry in collect(tmp_path) if entry.record.seed is not None], preset="quick")


def test_tracks_decide_their_own_claims(tmp_path: Path) -> None:
    for track in ("retention", "sequence"):
        run(tmp_path, "original", (0.0, 1.0, 0.1, 100.0), None, track)
        run(tmp_path, "naive", (0.6, 0.2, 0.3, 57.0), 0, track)
        run(tmp_path, "spf", (0.3, 0.6, 0.4, 80.0), 0, track)
    found = findings(collect(tmp_path))
    assert verdict(10, found) == verdict(11, found) == "holds" and verdict(4, found) == "not run"
    steps = [f.comparison.part for f in found if f.differences and f.comparison.part != "all"]
    assert steps == [place.value for place in Place]


def test_spread_is_the_difference_of_standard_deviations(whole: Path) -> None:
    entries = {e.record.run: e for e in collect(whole)}
    mine, theirs = [entries["lora-0-triples"]], [entries["spf-0-triples"]]
    found = spread_differences(mine, theirs, ["lpips"])["lpips"]
    expected = mean_frame(mine)["lpips"].std(ddof=0) - mean_frame(theirs)["lpips"].std(ddof=0)
    assert found.mean == pytest.approx(expected) and 0 < found.lo < found.mean < found.hi
    same = spread_differences(mine, mine, ["lpips"])["lpips"]
    assert (same.mean, same.lo, same.hi) == pytest.approx((0, 0, 0))


def test_runs_of_another_budget_are_named_and_so_are_the_commands_that_lack(tmp_path: Path) -> None:
    for name, budget in (("original", None), ("naive", "quick"), ("spf", "quick")):
        put(tmp_path, name, preset=budget)
    entries = collect(tmp_path)
    found = findings(entries)
    text = render_sheet(sheet(found, absent(entries, "default")), Format.text)
    assert "2 runs of preset quick do not count: --preset quick" in text and "compared" not in text
    assert "spf-bench run --method naive --method spf --track retention" in " ".join(text.split())
    assert "|" not in render_sheet(sheet(found), Format.md)
    counted = absent(entries, "quick")
    assert len(counted) == 1 and "spf-bench run --method lora --method adalora" in counted[0]
    assert "--track retention --preset quick" in counted[0]
