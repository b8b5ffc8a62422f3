"""Data sets on disk are read as they are written, and what is wrong with them is named."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spf_train.dataset import Dataset, open_dataset
from spf_train.errors import ConfigError
from spf_train.selection import Selection

TEXTS = {"base": "a man", "target": "smiling", "category": "facial"}


def png(shade: int = 0, **save: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 16, 3), shade, dtype=np.uint8)).save(file, "PNG", **save)
    return file.getvalue()


def write_folder(folder: Path, lines: list[Any], images: tuple[str, ...] = ()) -> Path:
    """Writes metadata.jsonl, its lines given as objects or as they stand, and images."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "metadata.jsonl").write_bytes(b"".join(row + b"\n" for row in rows))
    for shade, name in enumerate(images):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(shade))
    return folder


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def row(name: str, **texts: Any) -> dict[str, Any]:
    return {"file_name": name, **TEXTS, **texts}


def shades(folder: Path) -> list[int]:
    return [int(sample.pixels(8)[0, 0, 0]) for sample in open_dataset(folder)]


def test_a_folder_is_read_in_the_order_of_its_lines(tmp_path: Path) -> None:
    lines = [row("b.png", base="a woman"), row("sub/a.png"), row("b.png", target="bald", category=None)]
    data = open_dataset(write_folder(tmp_path, lines, ("sub/a.png", "b.png", "unnamed.png")))
    assert [(s.base, s.target, s.category) for s in data] == [
        ("a woman", "smiling", "facial"),
        ("a man", "smiling", "facial"),
        ("a man", "bald", ""),
    ]
    assert shades(tmp_path) == [1, 0, 1]
    assert data.problems == () and data[1].image == tmp_path / "sub" / "a.png"
    assert len(data[1:]) == 2 and data[-1].line == 3


def test_metadata_of_subfolders_and_of_other_splits(tmp_path: Path) -> None:
    for name in ("train/b", "train/a", "val", "train/my_test", ".hidden"):
        write_folder(tmp_path / name, [row("1.png", base=name)], ("1.png",))
    assert [sample.base for sample in open_dataset(tmp_path)] == ["train/a", "train/b"]
    assert [sample.base for sample in open_dataset(tmp_path / "val")] == ["val"]
    assert [sample.file for sample in open_dataset(str(tmp_path))] == [f"train/{n}/metadata.jsonl" for n in "ab"]
    with pytest.raises(ConfigError, match="another split"):
        open_dataset(write_folder(tmp_path / "only" / "test", [row("1.png")], ("1.png",)).parent)


def test_folders_are_read_as_hugging_face_reads_them(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for name in ("train/x", "train/a", "test"):
        lines = [row("2.png", base=f"{name} 2"), row("sub/1.png", base=f"{name} 1")]
        write_folder(tmp_path / name, lines, ("2.png", "sub/1.png"))
    theirs = datasets.load_dataset("imagefolder", data_dir=str(tmp_path), split="train")
    ours = open_dataset(tmp_path)
    # Both keep the order of lines within a folder; theirs takes folders as the disk has them.
    told = [sample["base"] for sample in theirs]
    assert [base for name in ("a", "x") for base in told if f"/{name} " in base] == [sample.base for sample in ours]
    images = {sample["base"]: np.asarray(sample["image"]) for sample in theirs}
    for mine in ours:
        assert np.array_equal(mine.pixels(8), images[mine.base][:, 4:12])


def test_every_problem_of_a_folder_is_named_with_its_line(tmp_path: Path) -> None:
    lines = [
        row("1.png"),
        b"not json",
        b"",
        row("1.png", base="  "),
        {"file_name": "1.png"},
        row("gone.png", target=3),
        {"base": "a man", "target": "bald"},
        b"[1]",
        b'{"file_name": "1.png", "base": "\xff"}',
        row("1\0.png"),
        row("a\0b/1.png"),
        row("\ud800.png"),
        row("\ud800/1.png"),
        row("1.png", base="a \ud800", target="\udc80"),
        b"[" * 200000,
        row("1.png", target="\U0001f600"),
    ]
    data = open_dataset(write_folder(tmp_path, lines, ("1.png",)))
    assert len(data) == 2
    assert list(map(str, data.problems)) == [
        "metadata.jsonl:2: this is not a JSON object",
        "metadata.jsonl:4: there is no base text",
        "metadata.jsonl:5: there is no base text; there is no target text",
        "metadata.jsonl:6: there is no image 'gone.png'; there is no target text",
        "metadata.jsonl:7: there is no file_name",
        "metadata.jsonl:8: this is not a JSON object",
        "metadata.jsonl:9: this is not a JSON object",
        r"metadata.jsonl:10: there is no image '1\x00.png'",
        r"metadata.jsonl:11: there is no image 'a\x00b/1.png'",
        r"metadata.jsonl:12: there is no image '\ud800.png'",
        r"metadata.jsonl:13: there is no image '\ud800/1.png'",
        "metadata.jsonl:14: the base text is not valid Unicode; the target text is not valid Unicode",
        "metadata.jsonl:15: this is not a JSON object",
    ]
    assert (data.problems[0].file, data.problems[0].line) == ("metadata.jsonl", 2)


def test_a_slice_has_the_problems_among_its_samples(tmp_path: Path) -> None:
    lines = [b"1", row("a.png"), row("a.png"), b"4", row("a.png"), b"6"]
    data = open_dataset(write_folder(tmp_path, lines, ("a.png",)))

    def shown(part: Dataset) -> tuple[list[int | None], list[int | None]]:
        return [sample.line for sample in part], [problem.line for problem in part.problems]

    assert shown(data) == ([2, 3, 5], [1, 4, 6])
    assert shown(data[:2]) == ([2, 3], [1]) and shown(data[:2][1:]) == ([3], [])
    assert shown(data[1:]) == ([3, 5], [4, 6]) and shown(data[1:][1:]) == ([5], [4, 6])
    assert shown(data[:9]) == shown(data)
    Selection(data[:2], max_skipped=0.34).leave_out({})  # one of three is left out, not three of five


def test_tars_are_read_in_order(tmp_path: Path) -> None:
    texts = [json.dumps(TEXTS | {"base": f"a man {i}"}).encode() for i in range(3)]
    write_tar(tmp_path / "b.tar", {"x.json": texts[2], "x.PNG": png(2)})
    first = {"d/0.png": png(0), "d/0.json": texts[0], "d/0.txt": b"ignored", "1.v2.webp": b"", "1.v2.json": texts[1]}
    write_tar(tmp_path / "a.tar", first | {"1.jpg": png(1), "1.json": texts[1]})
    data = open_dataset(tmp_path)
    assert [sample.base for sample in data] == ["a man 0", "a man 1", "a man 2"]
    assert shades(tmp_path) == [0, 1, 2]
    assert shades(tmp_path / "b.tar") == [2]
    assert data[0].category == "facial" and data[0].file == "a.tar/d/0.json"
    assert data.problems == ()


def test_tars_of_other_splits_are_left_out(tmp_path: Path) -> None:
    for name in ("train-0", "portraits", "test-0", "my_val-00012", "DEV"):
        write_tar(tmp_path / f"{name}.tar", {"1.png": png(), "1.json": json.dumps(TEXTS | {"base": name}).encode()})
    assert [sample.base for sample in open_dataset(tmp_path)] == ["portraits", "train-0"]
    assert [sample.base for sample in open_dataset(tmp_path / "test-0.tar")] == ["test-0"]
    for name in ("train-0", "portraits"):
        (tmp_path / f"{name}.tar").unlink()
    with pytest.raises(ConfigError, match=r"(?s)DEV\.tar is of another split.*pass that tar"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("again", ["1.png", "1.JPG", "1.json"])
def test_a_key_that_comes_twice_is_named(tmp_path: Path, again: str) -> None:
    good = json.dumps(TEXTS).encode()
    tar = write_tar(tmp_path / "a.tar", {"1.png": png(1), "1.json": good, "2.png": png(2), "2.json": good})
    with tarfile.open(tar, "a") as more:
        more.addfile(tarfile.TarInfo(again))
    data = open_dataset(tar)
    assert list(map(str, data.problems)) == [f"a.tar/1: this key has more than one image or .json: '{again}' too"]
    assert shades(tar) == [2]


def test_every_problem_of_a_tar_is_named(tmp_path: Path) -> None:
    good = json.dumps(TEXTS).encode()
    files = {"1.png": png(), "1.json": good, "2.png": png(), "3.json": good, "4.png": png(), "4.json": b"{}"}
    files |= {"5.png": png(), "5.json": b"[" * 200000}
    whole = write_tar(tmp_path / "a.tar", files).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:1600])
    (tmp_path / "c.tar").write_bytes(b"x" * 2000)
    data = open_dataset(tmp_path)
    problems = list(map(str, data.problems))
    assert problems[:4] == [
        "a.tar/2: there is no .json beside the image",
        "a.tar/3.json: there is no image beside the .json (jpg, jpeg, png, webp)",
        "a.tar/4.json: there is no base text; there is no target text",
        "a.tar/5.json: this is not a JSON object",
    ]
    assert [problem.split(":")[0] for problem in problems[4:]] == ["b.tar", "c.tar"]
    assert all("cannot be read to its end" in problem for problem in problems[4:])
    assert len(data) == 2 and data[1].file == "b.tar/1.json"


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.DIRTYPE])
@pytest.mark.parametrize("size", [-1, 2**62, 2**63 - 1, 2**80])
def test_a_header_with_an_absurd_size_ends_the_tar(tmp_path: Path, kind: bytes, size: int) -> None:
    tar = write_tar(tmp_path / "a.tar", {"1.png": png(), "1.json": json.dumps(TEXTS).encode()})
    info = tarfile.TarInfo("2.png")
    info.type, info.size = kind, size
    with tar.open("r+b") as file:
        whole = file.read().rstrip(b"\0")
        file.seek(-(-len(whole) // 512) * 512)
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    data = open_dataset(tar)
    assert len(data) == 1 and all("cannot be read to its end" in str(problem) for problem in data.problems)
    assert data.problems or kind == tarfile.DIRTYPE


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: folder / "nowhere", "no such folder"),
        (lambda folder: folder, r"no metadata\.jsonl and no \.tar"),
        (
            lambda folder: write_folder(folder, [row("1.png"), b"x"]),
            r"metadata\.jsonl:1: there is no image '1\.png', and 1",
        ),
    ],
)
def test_nothing_to_train_with(tmp_path: Path, make: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        open_dataset(make(tmp_path))


def test_photographs_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    half = np.zeros((8, 8, 3), dtype=np.uint8)
    half[:4] = 255
    Image.fromarray(half).save(tmp_path / "1.png", exif=exif)
    assert open_dataset(write_folder(tmp_path, [row("1.png")]))[0].pixels(8)[-1].min() == 255
