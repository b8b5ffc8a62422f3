"""Building originals: the same bytes whoever makes them and after whatever kill, none lost and none twice."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from select import select
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.files.store import HERE, file_sha256
from spf_bench.originals import make
from spf_bench.originals.about import BUILD, HALVED, About, begin, note_halved
from spf_bench.originals.build import Build
from spf_bench.originals.built import manifest_sha256
from spf_bench.originals.manifest import MANIFEST, Manifest
from spf_bench.progress import Silent
from spf_bench.share import Share, current
from tests.bench.originals.conftest import Pixels, files

Builds = Callable[..., Build]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize(
    "damage",
    [
        {"origin": []}, {"origin": None}, {"origin": "x"}, {"halved": "x"}, {"captions": 3}, {"suite": []},
        {"base_model": 1}, {"environment": []}, {"schema": "1"}, {"other": 1}, "[" * 100_000, "[]",
    ],
)  # fmt: skip
def test_facts_of_another_type_are_not_trusted(tmp_path: Path, damage: dict[str, object] | str) -> None:
    about = About({"testset": "a"}, "mini", "mini", None)
    about.save(tmp_path)
    assert About.load(tmp_path) == about
    path = tmp_path / BUILD
    path.write_text(damage if isinstance(damage, str) else json.dumps({**json.loads(path.read_text()), **damage}))
    assert About.load(tmp_path) is None
    (tmp_path / HALVED).mkdir()
    (tmp_path / HALVED / "originals-4").touch()
    note_halved(tmp_path)
    with pytest.raises(UserError, match="are not finished"):
        manifest_sha256(tmp_path, about.origin)
    begin(tmp_path, about)
    assert About.load(tmp_path) == about


@pytest.mark.parametrize("origin", [{}, {"sampling": [1]}, {"sampling": {"steps": 3}}])
def test_sampling_that_is_not_told_is_named(origin: dict[str, object]) -> None:
    with pytest.raises(UserError, match="does not say how its images were sampled"):
        _ = About(origin, "mini", "mini", None).sampling


def test_a_build_stands_alone(planned_build: Builds, frozen: testset.TestSet) -> None:
    build = planned_build()
    build.check()
    assert build.execute(Silent())
    assert build.to is not None
    loaded = testset.load(str(build.to))
    assert loaded.triples == frozen.triples and loaded.sha256 == frozen.sha256
    lines = [json.loads(line) for line in (build.folder / MANIFEST).read_text().splitlines()]
    assert lines == [{"id": t.id, "sha256": file_sha256(build.folder / f"{t.id}.png")} for t in frozen.triples]
    assert sorted(path.name for path in build.folder.iterdir()) == sorted([*files(build.folder), MANIFEST, BUILD])
    about = About.load(build.folder)
    assert about is not None and about.captions == "mini" and about.sampling == build.suite.sampling


@pytest.mark.parametrize("killed_at", [0, 1, 3])
@pytest.mark.parametrize("where", ["before the image", "before the note"])
def test_a_killed_build_goes_on(
    planned_build: Builds, whole: Pixels, monkeypatch: pytest.MonkeyPatch, killed_at: int, where: str
) -> None:
    build = planned_build()
    with monkeypatch.context() as patch:
        if where == "before the image":
            patch.setattr(make, "write_png", _dying(make.write_png, killed_at))
        else:
            patch.setattr(Manifest, "add", _dying(Manifest.add, killed_at))
        if where == "before the image" or killed_at < 3:  # three batches are noted three times
            with pytest.raises(Killed):
                build.execute(Silent())
            assert not (build.folder / MANIFEST).exists()
    assert planned_build().execute(Silent())
    assert files(build.folder) == whole
    assert not [path.name for path in build.folder.iterdir() if path.name.startswith(".")]


def _dying(function: Callable[..., None], after: int) -> Callable[..., None]:
    calls = iter(range(100))

    def call(*args: object) -> None:
        if next(calls) == after:
            raise Killed
        function(*args)

    return call


def test_what_a_kill_tore_is_made_again(planned_build: Builds, whole: Pixels, dead: Callable[[], int]) -> None:
    build = planned_build()
    build.execute(Silent())
    lines = (build.folder / MANIFEST).read_text().splitlines()
    (build.folder / MANIFEST).unlink()
    (build.folder / ".made-1-a.jsonl").write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    names = sorted(whole)
    (build.folder / names[0]).write_bytes(whole[names[0]][:200])
    (build.folder / names[5]).write_bytes(whole[names[1]])
    left = build.folder / f".{names[1]}-{HERE}-{dead()}-x.part.png"
    left.write_bytes(b"half an image")
    assert planned_build().execute(Silent())
    assert files(build.folder) == whole and not left.exists()


def test_nothing_is_made_twice(planned_build: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    planned_build().execute(Silent())
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("rendered again"))
    assert planned_build().execute(Silent())


def test_of_two_builds_in_one_folder_the_second_waits_and_makes_nothing_twice(
    planned_build: Builds, whole: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, said = planned_build(), planned_build(), list[str]()
    (ready, tell_ready), (waits, tell_waits) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            real, patience = make.render, 60

            def render(*given: Any) -> Any:
                os.write(tell_ready, b"x")
                select([waits], [], [], patience)
                return real(*given)

            monkeypatch.setattr(make, "render", render)
            first.execute(Silent())
        finally:
            os._exit(0)
    os.read(ready, 1)
    monkeypatch.setattr(Silent, "note", lambda self, text: (said.append(text), os.write(tell_waits, b"x")))
    monkeypatch.setattr(make, "render", lambda *_: pytest.fail("sampled twice"))
    assert second.execute(Silent()) and os.waitpid(child, 0)[1] == 0
    assert f"waiting for process {child}" in said[0] and files(second.folder) == whole


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_and_shards_change_no_byte(planned_build: Builds, whole: Pixels, order: tuple[int, ...]) -> None:
    shards = [planned_build("shards", share=Share(shard=i, shards=3)) for i in order]
    assert [build.execute(Silent()) for build in shards] == [False, False, True]
    assert files(shards[0].folder) == whole


def test_processes_split_what_is_left(planned_build: Builds, whole: Pixels) -> None:
    build = planned_build("split", limit=2)
    build.execute(Silent())
    second = _Alone(rank=1, world=2)
    assert not planned_build("split", share=second).execute(Silent())
    assert len(files(build.folder)) == 4  # the limit's batch, and the second of the two that were left
    assert planned_build("split", share=_Alone(rank=0, world=1)).execute(Silent())
    assert files(build.folder) == whole


class _Alone(Share):
    """One of several processes that waits for none."""

    def wait(self) -> None:
        return


def test_a_limit_and_a_batch_change_no_more_than_rounding(planned_build: Builds, whole: Pixels) -> None:
    limited = planned_build("limited", limit=3)
    assert limited.execute(Silent())
    assert files(limited.folder) == {name: whole[name] for name in sorted(whole)[:4]}
    alone = planned_build("alone", batch=1)
    assert alone.execute(Silent())
    for name, together in whole.items():
        pair = [np.asarray(Image.open(BytesIO(png)), int) for png in (together, files(alone.folder)[name])]
        apart = np.abs(pair[0] - pair[1])
        assert apart.max() <= 1 and (apart > 0).mean() < 0.01


def test_other_facts_go_elsewhere(planned_build: Builds) -> None:
    planned_build().execute(Silent())
    with pytest.raises(UserError, match="holds other originals") as caught:
        planned_build(batch=3).execute(Silent())
    assert "batch" in str(caught.value) and "theirs 2, now 3" in str(caught.value)


def test_a_model_that_cannot_be_loaded_leaves_nothing(planned_build: Builds, tmp_path: Path) -> None:
    build = replace(planned_build(), pipeline=tmp_path)
    with pytest.raises(UserError, match="no base model"):
        build.execute(Silent())
    assert build.to is not None and not build.to.exists()


def test_lost_facts_make_images_untrusted(planned_build: Builds, whole: Pixels) -> None:
    build = planned_build()
    build.execute(Silent())
    (build.folder / BUILD).write_text("{")
    (build.folder / sorted(whole)[0]).write_bytes(whole[sorted(whole)[1]])
    assert planned_build().execute(Silent())
    assert files(build.folder) == whole


def test_folders_of_others_are_left_alone(planned_build: Builds, frozen: testset.TestSet, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="something else"):
        planned_build("taken").check()
    testset.save(tmp_path / "other", frozen.triples[:2], "")
    with pytest.raises(UserError, match="other captions"):
        planned_build("other").check()
    with pytest.raises(UserError, match="no run would look"):
        replace(planned_build(), to=None).check()
    replace(planned_build(batch=32), to=None).check()


def test_texts_too_long_are_named_before_anything_is_made(planned_build: Builds, frozen: testset.TestSet) -> None:
    long = replace(frozen.triples[0], base=", ".join([frozen.triples[0].base] * 9))
    build = replace(planned_build(), testset=replace(frozen, triples=(long, *frozen.triples[1:])))
    with pytest.raises(UserError, match="longer than the text encoder reads"):
        build.check()
    assert not build.folder.exists()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "a/2", "1", "1/2/3", ""])
def test_a_shard_is_part_of_a_whole(shard: str) -> None:
    if shard:
        with pytest.raises(UserError, match="no part of a whole"):
            current("cpu", shard)
    assert current("cpu", "2/3").of_shards("abcdefg") == ["b", "e"]


def test_processes_take_turns() -> None:
    batches = list(range(7))
    taken = [Share(rank=rank, world=3).of_processes(batches) for rank in range(3)]
    assert sorted(one for part in taken for one in part) == batches and taken[1] == [1, 4]


def test_shipped_images_must_be_whole_and_of_the_models_size(
    planned_build: Builds, frozen: testset.TestSet, whole: Pixels
) -> None:
    shipped: Mapping[str, tuple[int, int]] = {"a.png": (64, 64), "b.png": (32, 32)}
    for name, size in shipped.items():
        Image.new("RGB", size).save(frozen.folder / name)
    sums = {name: file_sha256(frozen.folder / name) for name in shipped}
    fit, small, *others = frozen.triples
    good = replace(fit, original="a.png", sha256=sums["a.png"])
    bad = [
        replace(small, original="b.png", sha256=sums["b.png"]),
        replace(others[0], original="c.png", sha256="0" * 64),
    ]
    build = planned_build()
    with pytest.raises(UserError, match="2 originals of mini cannot be used") as caught:
        replace(build, testset=replace(frozen, triples=(good, *bad, *others[1:]))).execute(Silent())
    assert "32 x 32" in str(caught.value) and "c.png" in str(caught.value) and not files(build.folder)
    mixed = replace(planned_build("mixed"), testset=replace(frozen, triples=(good, small, *others)))
    mixed.execute(Silent())
    assert files(mixed.folder) == {**whole, f"{fit.id}.png": (frozen.folder / "a.png").read_bytes()}
