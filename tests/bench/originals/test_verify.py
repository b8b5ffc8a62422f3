"""Verifying: every kind of damage is found; repairing: the lost bytes come back, or nothing does."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.originals import repair
from spf_bench.originals.about import BUILD
from spf_bench.originals.build import Build
from spf_bench.originals.manifest import MANIFEST
from spf_bench.originals.repair import Repair, restore_captions
from spf_bench.originals.verify import examine, locate
from spf_bench.progress import Silent
from tests.bench.originals.conftest import files
from tests.tiny import tiny_pipeline

Cli = Callable[..., object]


@pytest.fixture
def folder(planned_build: Callable[..., Build]) -> Path:
    """A finished build."""
    build = planned_build()
    build.execute(Silent())
    assert build.to is not None
    return build.to


def damage(folder: Path) -> dict[str, str]:
    """Spoil three images in three ways; what was done to which."""
    images = folder / "originals"
    (images / "mini-0001.png").unlink()
    (images / "mini-0002.png").write_bytes((images / "mini-0002.png").read_bytes()[:150])
    shutil.copy(images / "mini-0000.png", images / "mini-0005.png")
    return {"mini-0001": "missing", "mini-0002": "truncated", "mini-0005": "altered"}


def test_damage_is_found_and_mended(folder: Path, cli: Callable) -> None:
    before = files(folder / "originals")
    assert cli("testset", "verify", folder).exit_code == 0
    done = damage(folder)
    found = examine(locate(str(folder)))
    assert {triple.id: state for triple, state in found.images} == done and found.checked == 6
    said = cli("testset", "verify", folder)
    assert said.exit_code == 1 and "3 damaged" in said.output and "--repair" in said.output
    mended = cli("testset", "verify", folder, "--repair")
    assert mended.exit_code == 0 and "3 images" in mended.output
    assert files(folder / "originals") == before and examine(locate(str(folder))).sound


def test_captions_are_restored_from_where_they_came(folder: Path, cli: Callable) -> None:
    text = (folder / testset.TRIPLES).read_bytes()
    (folder / testset.TRIPLES).write_bytes(text.replace(b"beard", b"bread"))
    (folder / testset.CARD).unlink()
    damage(folder)
    assert cli("testset", "verify", folder).exit_code == 1
    assert cli("testset", "verify", folder, "--repair").exit_code == 0
    assert (folder / testset.TRIPLES).read_bytes() == text and examine(locate(str(folder))).sound
    (folder / testset.SUMS).unlink()
    assert not examine(locate(str(folder))).sound
    restore_captions(locate(str(folder)), examine(locate(str(folder))))
    assert examine(locate(str(folder))).sound


@pytest.mark.parametrize("name", [MANIFEST, BUILD])
def test_a_changed_manifest_is_found_and_never_sealed(folder: Path, name: str, cli: Callable) -> None:
    with (folder / "originals" / name).open("a") as file:
        file.write("\n")
    found = examine(locate(str(folder)))
    assert [problem.subject for problem in found.files] == [f"originals/{name}"]
    said = cli("testset", "verify", folder)
    assert said.exit_code == 1 and "build again" in said.output
    assert cli("testset", "verify", folder, "--repair").exit_code == 2
    assert not examine(locate(str(folder))).sound


def test_a_build_that_is_not_finished_is_not_sound(folder: Path, cli: Callable) -> None:
    (folder / "originals" / MANIFEST).rename(folder / "originals" / ".made-1-a.jsonl")
    testset.seal(folder, [testset.TRIPLES, testset.CARD])
    said = cli("testset", "verify", folder)
    assert said.exit_code == 1 and "not finished" in said.output and "go on with" in said.output


def test_strangers_are_noted_and_do_no_harm(folder: Path, cli: Callable) -> None:
    (folder / "originals" / "holiday.png").write_bytes(b"")
    said = cli("testset", "verify", folder)
    assert said.exit_code == 0 and "holiday.png" in said.output


def test_another_model_repairs_nothing(folder: Path, tmp_path: Path, cli: Callable) -> None:
    damage(folder)
    other = tiny_pipeline(tmp_path / "other", seed=7)
    said = cli("testset", "verify", folder, "--repair", "--base-model", other)
    assert said.exit_code == 2 and "cannot be repaired" in said.output and "pipeline" in said.output
    assert not (folder / "originals" / "mini-0001.png").exists()


def test_other_bytes_are_not_put_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(folder)
    render = repair.render
    monkeypatch.setattr(repair, "render", lambda *args: {key: ~value for key, value in render(*args).items()})
    place = locate(str(folder))
    with pytest.raises(UserError, match="3 images could not be made again"):
        Repair.of(place, None, "cpu").execute(examine(place), Silent())
    assert not (folder / "originals" / "mini-0001.png").exists()


def test_a_frozen_set_without_images_is_verified_too(frozen: testset.TestSet, cli: Callable) -> None:
    assert "captions alone" in cli("testset", "verify", "mini").output
    (frozen.folder / testset.CARD).write_text("")
    said = cli("testset", "verify", "mini")
    assert said.exit_code == 1 and "CARD.md" in said.output and "git checkout" in said.output


def test_what_is_no_test_set_is_refused(tmp_path: Path, cli: Callable) -> None:
    for name in (tmp_path, tmp_path / "nowhere", "a\0b"):
        said = cli("testset", "verify", name)
        assert said.exit_code == 2 and "neither a test set nor" in said.output
