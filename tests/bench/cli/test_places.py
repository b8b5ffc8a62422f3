"""A place that cannot be written is refused at once, in one error, by whatever command was asked to write there."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main

from spf_bench.cli import options
from spf_bench.cli.app import app
from spf_bench.errors import UserError
from spf_bench.files.places import refuse_unwritable

Cli = Callable[..., Any]
WORDS = {
    "report": "report --to",
    "table": "table --to",
    "claims": "claims --to",
    "figure": "figure 13 --to",
    "portraits": "show portraits --to",
    "sfcm": "show sfcm --triple 1 --to",
    "attention": "show attention --triple 1 --to",
    "world show": "world show --to",
    "world testset": "world testset world-v1 --to",
    "world build": "world build --work",
    "study": "study make --to",
    "import": "testset import captions.csv --to",
    "export": "testset export mini --to",
    "testset build": "testset build --suite mini --to",
    "trainset build": "trainset build --suite mini --to",
    "train": "train --suite mini --out",
    "cache": "train --suite mini --cache",
    "sweep": "sweep --suite mini --lambda text --to",
    "search": "search --space space.yaml --to",
    "convert": "weights convert a.ckpt",
    "run": "run --suite mini --device cpu --method original --runs",
    "ablate": "ablate --suite mini --device cpu --table 1 --runs",
}
ENDINGS = {"table": ".md", "claims": ".md", "report": ".html", "convert": ".safetensors"}
AROUND = {"study", "import", "export", "trainset build", "convert", "run", "ablate"}
"""Those that name the folder around the new one, or the run's own."""
WHERE = {
    "/proc/x": "no file can be made there",
    "/proc/x/y/z": "no file can be made there",
    "file/x": "a file stands where a folder must be",
}


@contextmanager
def full_disk() -> Iterator[None]:
    """No byte can be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WORDS)
def test_places_are_looked_at_before_anything_is_done(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for place, why in WHERE.items():
        done = cli(*WORDS[name].split(), f"{place}{ENDINGS.get(name, '.png')}")
        told = f"cannot write {place}" if name not in AROUND else "cannot write"
        assert done.exit_code == 2 and told in done.stderr and why in done.stderr, done.output
        assert "Traceback" not in done.output and not done.stdout and done.stderr.count("error:") == 1
    assert (tmp_path / "file").read_text() == "mine" and sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_noticed_by_one_byte(cli: Cli, tmp_path: Path) -> None:
    with full_disk():
        done = cli("report", "--to", tmp_path / "new" / "report.html")
    assert done.exit_code == 2 and "the file grew larger than files may be here" in done.stderr
    assert not (tmp_path / "new").exists()


def test_neither_folders_nor_devices_are_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.md").mkdir()
    done = cli("table", "--to", tmp_path / "a.md", "--to", "/dev/null")
    assert done.exit_code == 2 and "2 places cannot be written" in done.stderr
    assert "a folder stands where a file must be" in done.stderr and "it may not be changed" in done.stderr


def test_a_picture_says_its_kind(cli: Cli, tmp_path: Path) -> None:
    done = cli("show", "sfcm", "--triple", "1", "--to", tmp_path / "map.docx")
    assert done.exit_code == 2 and "end it in .png, .jpg, .jpeg, .webp" in done.stderr


def test_what_can_be_written_is_let_through_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    refuse_unwritable([tmp_path / "there", tmp_path / "new" / "a"], [tmp_path, tmp_path / "b"], [tmp_path / "c" / "d"])
    assert [path.name for path in tmp_path.iterdir()] == ["there"] and (tmp_path / "there").read_text() == "mine"
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UserError, match="cannot write"):
        refuse_unwritable(folders=[tmp_path / "link" / "x"])


def test_every_option_that_names_an_output_is_guarded() -> None:
    unguarded = [name for name, option in outputs(typer.main.get_command(app)) if option.callback is None]
    assert unguarded == ["score --out"]  # whose lock is the first thing that it does


def outputs(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options that name what is written, of all commands."""
    for key, inner in getattr(command, "commands", {}).items():
        yield from outputs(inner, f"{name} {key}".strip())
    for option in command.params:
        if {"--to", "--out", "--cache", "--work"} & set(option.opts):
            yield f"{name} {option.opts[0]}", option


def test_a_page_may_be_given_by_its_folder(tmp_path: Path) -> None:
    from spf_bench.cli.report import PAGE, _page

    assert _page(tmp_path) == tmp_path / PAGE and _page(tmp_path / "a.html") == tmp_path / "a.html"
    assert options.files(None) is None
