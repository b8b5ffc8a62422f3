"""Damaged files of a scoring are made again by the same command, and a place that takes none is told at once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spf_bench.files.intact import whole
from spf_bench.scoring import one_pass
from spf_bench.scoring.folders import score_folders
from spf_bench.triple import Triple
from tests.bench.run.test_faults import Notes, cut, empty
from tests.bench.scoring.conftest import Theirs

pytestmark = pytest.mark.usefixtures("suite", "frozen")
Cli = Callable[..., Any]


def scored(theirs: Theirs, out: Path, notes: Notes) -> Any:
    how: dict[str, Any] = {"name": "mine", "suite": "mini", "device": "cpu", "batch": 4, "progress": notes}
    return score_folders(theirs.originals, theirs.images, theirs.captions, out=out, **how)


def test_damaged_results_and_caches_are_made_again(theirs: Theirs, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    before = scored(theirs, out, Notes())
    folder = out / before.testset.name / before.run
    for damage, name in ((cut, "record.json"), (empty, "features.safetensors"), (empty, "costs.json")):
        damage(folder / name)
    for path in (out / "cache" / "features").glob("*.safetensors"):
        cut(path)
    (folder / "scores.parquet").unlink()
    notes = Notes()
    assert scored(theirs, out, notes).scores == before.scores and (folder / "scores.parquet").is_file()
    assert any(text.startswith("damaged, and made again: ") for text in notes.said)
    assert [path for path in out.rglob("*") if path.is_file() and not whole(path)] == []


def test_torn_batches_of_a_killed_scoring_are_measured_again(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, calls, measure = scored(theirs, tmp_path / "whole", Notes()), iter(range(9)), one_pass.measure

    def dying(*asked: Any) -> Any:
        assert next(calls) < 1, "killed"
        return measure(*asked)

    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="killed"):
        patch.setattr(one_pass, "measure", dying)
        scored(theirs, tmp_path / "runs", Notes())
    (part,) = (tmp_path / "runs").rglob("parts/*.parquet")
    cut(part)
    assert scored(theirs, tmp_path / "runs", Notes()).scores == expected.scores


def test_links_to_images_of_others_are_no_damage(theirs: Theirs, tmp_path: Path) -> None:
    from PIL import Image

    first: Triple = theirs.triples[0]
    with Image.open(theirs.images / f"{first.id}.png") as picture:
        picture.save(theirs.images / f"{first.id}.webp", lossless=True)
    (theirs.images / f"{first.id}.png").unlink()
    before = scored(theirs, tmp_path / "runs", Notes())
    folder = tmp_path / "runs" / before.testset.name / before.run
    (folder / "scores.parquet").unlink()
    notes = Notes()
    scored(theirs, tmp_path / "runs", notes)
    assert not any("damaged" in text for text in notes.said)


@pytest.mark.parametrize("place", ["/proc/x", "file/x"])
def test_a_place_that_takes_no_file_is_told_before_anything_is_scored(
    cli: Cli, theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("spf_bench.scoring.job.score", lambda *_: pytest.fail("scored"))
    done = cli("score", *theirs.words, "--out", place)
    assert done.exit_code == 2 and f"cannot write {place}" in done.stderr and "Traceback" not in done.output
    shutil.rmtree(tmp_path / "theirs")
    assert [path.name for path in tmp_path.iterdir() if path.name != "testsets"] == ["file"]
