"""Building training sets: the same files whoever builds them and after whatever kill, and what is in them."""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.files.store import file_sha256
from spf_bench.portraits import Portraits
from spf_bench.progress import Silent
from spf_bench.share import Share
from spf_bench.suite import Sampling
from spf_bench.trainset import captioner, chunks, networks, paint, write
from spf_bench.trainset.build import Build
from spf_bench.trainset.filters import Rule, Rules
from spf_bench.trainset.paint import Canvas
from spf_bench.trainset.painters import load_painter
from spf_bench.trainset.scores import match_scorer
from spf_bench.trainset.sources import Network
from tests.bench.conftest import SAMPLING, TARGETS
from tests.bench.trainset.conftest import Specs, draw, files
from tests.tiny import tiny_pipeline


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_set_has_the_best_of_each_category(spec: Specs) -> None:
    asked = spec()
    assert not Build(asked).check()
    figures = Build(asked).execute(Silent())
    told, kept = lines(asked.to / "candidates.jsonl"), lines(asked.to / "metadata.jsonl")
    assert [row["id"] for row in told] == [f"toy-0-{i:03}" for i in range(14)]
    for target, category in TARGETS.items():
        mine = [row for row in told if row["category"] == category]
        assert {row["target"] for row in mine} == {target}
        by_match = sorted(mine, key=lambda row: -row["match"])
        matching, rest = by_match[: -(-len(mine) // 2)], by_match[-(-len(mine) // 2) :]
        assert {row["outcome"] for row in rest} == {"match"} and not any("hps" in row for row in rest)
        by_hps = sorted(matching, key=lambda row: -row["hps"])
        passing = -(-len(matching) * 4 // 5)
        assert [row["outcome"] for row in by_hps] == ["kept"] * passing + ["hps"] * (len(by_hps) - passing)
    assert [row["id"] for row in kept] == [row["id"] for row in told if row["outcome"] == "kept"]
    assert figures is not None and figures.kept == len(kept) and figures.total == 14
    for row in kept:
        assert file_sha256(asked.to / row["file_name"]) == row["sha256"]
    assert Build(asked).check()
    assert not list(asked.work.glob("set-*"))


def test_the_trainers_texts_are_in_it(spec: Specs) -> None:
    asked = spec()
    Build(asked).execute(Silent())
    by_id = {triple.id: triple for chunk in range(3) for triple in draw(0, chunk)}
    for row in lines(asked.to / "metadata.jsonl"):
        triple = by_id[row["id"]]
        assert (row["base"], row["target"], row["category"]) == (triple.base, triple.target, triple.category.value)
        assert row["text"] == triple.prompt
    samples = Portraits.open(asked.to, 64)
    assert len(samples) == len(lines(asked.to / "metadata.jsonl"))
    assert samples[0].image.shape == (64, 64, 3)


def test_the_card_counts(spec: Specs) -> None:
    asked = spec()
    Build(asked).execute(Silent())
    card = (asked.to / "README.md").read_text()
    kept = Counter(row["category"] for row in lines(asked.to / "metadata.jsonl"))
    row = next(line for line in card.splitlines() if line.startswith("| facial attributes | 52,021"))
    assert row.split(" | ")[3:5] == ["5", str(kept["facial_attributes"])]
    assert "### image-text match" in card and "### HPS" in card and "toy CLIP" in card


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [(paint, "write_atomic", 5), (chunks, "write_atomic", 4), (chunks, "write_text", 4), (write, "link", 2)],
    ids=["images", "scores", "lists", "set"],
)
def test_a_killed_build_goes_on(
    spec: Specs, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, name, _dying(getattr(module, name), after))
        with pytest.raises(Killed):
            Build(spec()).execute(Silent())
        assert not spec().to.exists()
    assert Build(spec()).execute(Silent()) is not None
    assert files(spec().to) == whole


def _dying(function: Callable[..., None], after: int) -> Callable[..., None]:
    calls = iter(range(1000))

    def call(*args: object, **options: object) -> None:
        if next(calls) == after:
            raise Killed
        function(*args, **options)

    return call


def test_what_a_kill_tore_is_made_again(spec: Specs, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paint, "write_atomic", _dying(paint.write_atomic, 4))
    with pytest.raises(Killed):
        Build(spec()).execute(Silent())
    monkeypatch.undo()
    torn = sorted(spec().work.glob("images-*/*/*.png"))[0]
    torn.write_bytes(torn.read_bytes()[:-40])
    assert Build(spec()).execute(Silent()) is not None
    assert files(spec().to) == whole


def test_damaged_lists_and_arrays_are_made_again(
    spec: Specs, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(write, "link", _dying(write.link, 2))
        Build(spec()).execute(Silent())
    damaged = [sorted(spec().work.glob(place))[0] for place in ("plan-*/*.npy", "images-*/*.jsonl", "match-*/*.npy")]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-3])
    sorted(spec().work.glob("plan-*/*.jsonl"))[-1].write_bytes(b"")
    assert Build(spec()).execute(Silent()) is not None
    assert files(spec().to) == whole


def test_other_filters_use_the_same_images(spec: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    Build(spec()).execute(Silent())
    monkeypatch.setattr(paint, "load_painter", lambda *_: pytest.fail("painted again"))
    spec().to.rename(spec("first").to)
    figures = Build(spec(rules=Rules(None, Rule(floor=-1.0), None))).execute(Silent())
    assert figures is not None and figures.kept == 14


def test_a_larger_set_begins_with_the_smaller_ones_images(spec: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    Build(spec(total=8)).execute(Silent())
    spec().to.rename(spec("small").to)
    with monkeypatch.context() as patch:
        patch.setattr(paint, "write_atomic", _dying(paint.write_atomic, 6))  # of 14 images 6 are to be painted
        Build(spec()).execute(Silent())
    small, large = (
        {row["id"]: row["sha256"] for row in lines(spec(name).to / "candidates.jsonl")} for name in ("small", "set")
    )
    assert len(small) == 8 and small.items() <= large.items()


def test_two_checkpoints_share_the_candidates(spec: Specs, pipe_dir: Path, tmp_path: Path) -> None:
    other, nothing = tiny_pipeline(tmp_path / "other", seed=5), Rules(None, None, None)
    Build(spec("alone", 6, (other,), nothing)).execute(Silent())
    Build(spec("both", 6, (pipe_dir, other), nothing)).execute(Silent())
    alone = {row["id"]: row["sha256"] for row in lines(spec("alone").to / "candidates.jsonl")}
    both = lines(spec("both").to / "candidates.jsonl")
    for row in both:
        assert row["model"] == ("other" if row["seed"] % 2 else pipe_dir.name)
        assert row["model"] == "other" or row["sha256"] != alone[row["id"]]


@dataclass(frozen=True)
class Threaded(Share):
    """A share of threads, which wait for each other at a barrier."""

    barrier: threading.Barrier | None = None

    def wait(self) -> None:
        assert self.barrier is not None
        self.barrier.wait(timeout=300)


def test_processes_build_the_same(
    spec: Specs, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, pipe_dir: Path, clip_dir: Path
) -> None:
    barrier, failed = threading.Barrier(2), list[BaseException]()
    # Libraries cannot load in two threads at once, and a scheduler or tokenizer serves one thread alone.
    painters = {str(rank): load_painter(pipe_dir, SAMPLING, "cpu") for rank in range(2)}
    scorers = {rank: match_scorer(clip_dir, "", "cpu", torch.float32) for rank in painters}
    monkeypatch.setattr(paint, "load_painter", lambda *_: painters[threading.current_thread().name])
    own = {kind: lambda *_: scorers[threading.current_thread().name] for kind in ("match", "hps")}
    monkeypatch.setattr(networks, "LOADERS", own)

    def work(rank: int) -> None:
        try:
            Build(spec(), Threaded(rank, 2, barrier=barrier)).execute(Silent())
        except BaseException as error:
            failed.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,), name=str(rank)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert files(spec().to) == whole


def test_shards_build_the_same(spec: Specs, whole: dict[str, bytes]) -> None:
    found = [Build(spec(), Share(shard=shard, shards=2)).execute(Silent()) for shard in (0, 1, 0, 1)]
    assert [one is None for one in found] == [True, True, True, False]
    assert files(spec().to) == whole


def test_an_altered_image_is_told_and_then_painted_again(spec: Specs, whole: dict[str, bytes]) -> None:
    asked = spec()
    Build(asked).execute(Silent())
    name = lines(asked.to / "metadata.jsonl")[0]["id"]
    os.rename(asked.to, asked.to.with_name("first"))
    image = next(asked.work.glob(f"images-*/*/{name}.png"))
    image.unlink()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(image)
    with pytest.raises(UserError, match="not as they were painted"):
        Build(spec()).execute(Silent())
    assert Build(spec()).execute(Silent()) is not None
    assert files(asked.to) == whole


def test_an_occupied_folder_is_refused(spec: Specs) -> None:
    asked = spec()
    Build(asked).execute(Silent())
    with pytest.raises(UserError, match="cannot build") as refused:
        Build(spec(total=9)).check()
    assert "other settings" in refused.value.why
    (asked.to / "build.json").unlink()
    with pytest.raises(UserError) as refused:
        Build(asked).check()
    assert refused.value.why == "there is something else"


def test_a_folder_that_cannot_be_made_is_refused(spec: Specs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make"):
        Build(spec("file/set")).check()


def test_images_can_be_small_jpegs(spec: Specs) -> None:
    asked = spec(canvas=Canvas(Sampling("ddim", 2, 4.0), 4, "jpg", 32), rules=Rules(None, None, None))
    Build(asked).execute(Silent())
    names = sorted((asked.to / "images").rglob("*.jpg"))
    assert len(names) == 14
    with Image.open(names[0]) as image:
        assert image.size == (32, 32) and image.format == "JPEG"


def test_tars_have_images_beside_texts(spec: Specs) -> None:
    import tarfile

    asked = spec(format="webdataset")
    Build(asked).execute(Silent())
    kept = [row for row in lines(asked.to / "candidates.jsonl") if row["outcome"] == "kept"]
    with tarfile.open(asked.to / "train-00000.tar") as tar:
        assert tar.getnames() == [f"{row['id']}.{kind}" for row in kept for kind in ("png", "json")]
        texts = json.loads(tar.extractfile(f"{kept[0]['id']}.json").read())  # type: ignore[union-attr]
    assert texts == {name: value for name, value in kept[0].items() if name != "outcome"}
    assert not (asked.to / "metadata.jsonl").exists()


def test_scores_that_are_no_numbers_are_left_out(spec: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def score(self, images: np.ndarray, rows: Any) -> torch.Tensor:
            return torch.tensor([float("nan") if row.triple.id == "toy-0-003" else 1.0 for row in rows])

    monkeypatch.setitem(networks.LOADERS, "match", lambda *_: Broken())
    asked = spec(rules=Rules(Rule(0.9), None, None))
    Build(asked).execute(Silent())
    told = {row["id"]: row for row in lines(asked.to / "candidates.jsonl")}
    assert told["toy-0-003"]["outcome"] == "match" and "match" not in told["toy-0-003"]


def test_a_captioner_writes_the_base_texts(spec: Specs, monkeypatch: pytest.MonkeyPatch, clip_dir: Path) -> None:
    class Parrot:
        def describe(self, images: np.ndarray, targets: Any) -> list[str]:
            return [f"a man, {target}, in a green sweater." for target in targets]

    monkeypatch.setattr(captioner.Captioner, "load", lambda *_: Parrot())
    asked = spec(captioner=clip_dir)
    Build(asked).execute(Silent())
    rows = lines(asked.to / "metadata.jsonl")
    assert rows and {row["base"] for row in rows} == {"a man, in a green sweater"}
    assert {row["text"].split(", ")[-1] for row in rows} <= set(TARGETS)
    assert "toy captioner" in (asked.to / "README.md").read_text()


def test_networks_that_cannot_be_used_are_named_before_anything_is_painted(
    spec: Specs, pipe_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    wrong = spec(models=(pipe_dir, tmp_path), captioner=tmp_path / "bert")
    judges = {**wrong.sources.judges, "match": Network("a BERT", tmp_path / "bert")}
    wrong = replace(wrong, sources=replace(wrong.sources, judges=judges))
    monkeypatch.setattr(paint, "load_painter", lambda *_: pytest.fail("painted"))
    with pytest.raises(UserError, match="3 networks of this build cannot be used") as refused:
        Build(wrong).execute(Silent())
    told = {problem.subject: problem.why for problem in refused.value.problems}
    assert told.keys() == {tmp_path.name, "toy captioner", "a BERT"} and "it is 'bert'" in told["a BERT"]
