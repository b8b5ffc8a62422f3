"""A study's folder holds pixels and codes; what cannot be made is refused with all its reasons."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from spf_bench.errors import UserError
from spf_bench.study.make import Order, make
from spf_bench.study.model import Study
from spf_bench.study.pictures import Pictures
from spf_bench.study.plan import Ask
from spf_bench.table.model import collect
from spf_bench.triple import image
from tests.bench.showcase import show
from tests.bench.study.conftest import SMALL, Made, made


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_what_is_written_is_what_is_read(small: Made) -> None:
    assert Study.load(small.folder) == small.study
    rows = list(csv.DictReader((small.folder / "invitations.csv").open()))
    assert [row["code"] for row in rows] == [ballot.code for ballot in small.study.ballots]
    assert len({item.key for ballot in small.study.ballots for item in ballot.items}) == 4 * 8
    assert not list(small.folder.parent.glob("*.part"))


def test_portraits_are_those_of_the_methods(small: Made) -> None:
    runs = {entry.record.method.title: entry.folder for entry in collect(small.runs)}
    for one in small.study.units:
        path = f"{one.unit.triple}.png"
        assert (
            pixels(small.folder / "images" / one.original) == pixels(runs["Original portrait"] / "images" / path)
        ).all()
        if not one.unit.check:
            for label, name in zip(one.unit.pair, one.images, strict=True):
                assert (pixels(small.folder / "images" / name) == pixels(runs[label] / "images" / path)).all()


def test_a_check_has_the_original_as_its_right_answer_and_a_wreck_as_its_wrong_one(small: Made) -> None:
    checks = [one for one in small.study.units if one.unit.check]
    assert len(checks) == 2
    for one in checks:
        assert one.images[0] == one.original
        right, wrong = (pixels(small.folder / "images" / name) for name in one.images)
        assert wrong.shape == right.shape and np.abs(wrong - right).mean() > 20
        assert len(np.unique(wrong.reshape(-1, 3), axis=0)) <= 36


def test_pictures_lose_what_stands_beside_their_pixels(tmp_path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("method", "spf")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "spf.png", pnginfo=words)
    name = Pictures(tmp_path / "to").add(tmp_path / "spf.png")
    assert b"spf" not in (tmp_path / "to" / name).read_bytes() and "spf" not in name


def test_codes_are_not_drawn_from_the_seed(tmp_path: Path) -> None:
    first, second = (made(tmp_path / name).study for name in "ab")
    assert [one.unit for one in first.units] == [one.unit for one in second.units]
    assert not {b.code[3:] for b in first.ballots} & {b.code[3:] for b in second.ballots}


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    runs, frozen = show(tmp_path, ("spf", "naive"))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "votes.sqlite").touch()
    with pytest.raises(UserError) as refused:
        make(Order(runs, taken, methods=("spf", "spg"), ours="loar", testset=str(frozen.folder)))
    said = str(refused.value)
    for words in ("its votes would be lost", "--method spg", "--ours loar", "two are needed", "original portraits"):
        assert words in said


def test_too_many_pairs_name_how_many_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study") as refused:
        made(tmp_path, Ask(pairs=400))
    assert "6 pairs of methods on 14 triples make 84" in str(refused.value) and "--pairs 84" in str(refused.value)
    assert not (tmp_path / "study").exists()


def test_triples_without_all_their_portraits_are_left_out(tmp_path: Path) -> None:
    runs, frozen = show(tmp_path)
    spf = next(entry.folder for entry in collect(runs) if entry.record.method.name == "spf")
    image(spf / "images", frozen.triples[3]).unlink()
    study = make(Order(runs, tmp_path / "s", replace(SMALL, pairs=78), testset=str(frozen.folder)))
    assert frozen.triples[3].id not in {one.unit.triple for one in study.units}


def one_pair(study: dict[str, Any]) -> dict[str, Any]:
    """Return the first comparison of a study that is no attention check."""
    return next(dict_ for one in study["units"] if not (dict_ := one["unit"])["check"])


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "seed": (lambda study: study.update(seed=-1), "a seed is not negative"),
    "stranger": (lambda study: one_pair(study).update(a="Nobody"), "Nobody' is no method"),
    "itself": (lambda study: one_pair(study).update(a=one_pair(study)["b"]), "is compared with itself"),
    "alone": (lambda study: study["methods"].append({"label": "New", "method": "n", "run": "r"}), "with nothing"),
    "twice": (lambda study: study["methods"].append(study["methods"][0]), "two methods are called"),
}


def test_a_folder_without_a_study_and_a_broken_one_are_told(tmp_path: Path, small: Made) -> None:
    with pytest.raises(UserError, match="there is no study") as refused:
        Study.load(tmp_path / "nowhere")
    assert "study make" in refused.value.fix
    path = small.folder / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "units": 3}))
    with pytest.raises(UserError, match="is not a study"):
        Study.load(small.folder)


@pytest.mark.parametrize(("change", "why"), BROKEN.values(), ids=BROKEN)
def test_a_study_that_could_not_be_counted_is_refused(
    small: Made, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    path = small.folder / "study.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match="is not a study") as refused:
        Study.load(small.folder)
    assert why in str(refused.value.problems)
