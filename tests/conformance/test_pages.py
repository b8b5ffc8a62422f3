"""The pages on adding a method and a metric, done as they say: their files saved, their commands given."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from transformers import CLIPTextModel
from typer.testing import CliRunner

import spf_bench.suite
import spf_bench.testset
from spf_bench import testset
from spf_bench.cli.app import app
from spf_bench.method import discover
from spf_bench.metrics.plugins import join
from tests.bench.conftest import MiniSuite, make_triples
from tests.conformance.conftest import Package

DOCS = Path(__file__).parents[2] / "docs"
SAVED = re.compile(r"Save this as `(?P<name>\w+\.py)`.*?```python\n(?P<code>.*?)```", re.S)
COMMANDS = re.compile(r"```\n(?P<lines>(?:spf-bench [^\n]+\n)+)```")
POINTS = re.compile(r"```toml\n(?P<toml>.*?)```", re.S)


@dataclass(frozen=True)
class Page:
    """What a page tells its reader to do."""

    files: dict[str, str]
    commands: list[list[str]]
    points: dict[str, dict[str, str]]


def page(name: str) -> Page:
    text = (DOCS / name).read_text()
    lines = [line for match in COMMANDS.finditer(text) for line in match["lines"].splitlines()]
    (toml,) = (tomllib.loads(match["toml"]) for match in POINTS.finditer(text))
    files = {match["name"]: match["code"] for match in SAVED.finditer(text)}
    return Page(files, [shlex.split(line)[1:] for line in lines], toml["project"]["entry-points"])


@pytest.fixture
def reader(quick: MiniSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Page]:
    """Somebody in an empty folder who saves a page's files; the miniature stands in for the world."""
    testset.save(tmp_path / "testsets" / "mini", make_triples(16), "# mini\n")
    quick.pipe_dir = stored_like_the_world(quick.pipe_dir, tmp_path / "pipeline")
    monkeypatch.setitem(spf_bench.suite.SUITES, "world", spf_bench.suite.SUITES["mini"])
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)

    def read(name: str) -> Page:
        found = page(name)
        for file, code in found.files.items():
            (desk / file).write_text(code)
        return found

    return read


def stored_like_the_world(pipeline: Path, to: Path) -> Path:
    """A copy of a pipeline whose text encoder lies in float16, as the world's: transformers keep what they find."""
    shutil.copytree(pipeline, to)
    encoder = CLIPTextModel.from_pretrained(to / "text_encoder").half()
    encoder.save_pretrained(to / "text_encoder")
    return to


def say(*words: str) -> Any:
    return CliRunner().invoke(app, [*words])


def test_the_first_method_has_fifteen_lines_at_most() -> None:
    assert len(next(iter(page("add-a-method.md").files.values())).splitlines()) <= 15


def test_the_page_on_methods(reader: Callable[[str], Page]) -> None:
    told = reader("add-a-method.md")
    assert set(told.files) == {"amplify.py", "wise.py", "attend.py"} and len(told.commands) == 5
    said = {" ".join(words): say(*words) for words in told.commands}
    assert all(done.exit_code == 0 for done in said.values()), [done.output for done in said.values()]
    assert "Amplified target" in said["table"].stdout
    records = [json.loads(path.read_text()) for path in Path("runs").rglob("record.json")]
    assert {record["method"]["name"] for record in records} == {"original", "amplify"}


def test_a_method_in_a_package(reader: Callable[[str], Page], package: Package) -> None:
    told = reader("add-a-method.md")
    package("my_package", told.files["amplify.py"], told.points)
    assert re.search(r"amplify +Amplified target", say("list", "methods").stdout)


def test_no_package_takes_the_name_of_a_method_of_ours(package: Package) -> None:
    package("aaa", "", {"spf_bench.methods": {"spf": "aaa:SPF"}})
    found = discover()
    assert found.methods["spf"].__module__ == "baselines.spf"
    assert "taken by baselines.spf:SPF" in found.broken["spf (aaa:SPF)"]


def test_the_page_on_metrics(reader: Callable[[str], Page]) -> None:
    told = reader("add-a-metric.md")
    assert set(told.files) == {"brightness.py", "closeness.py"} and len(told.commands) == 2
    for words in told.commands:
        done = say(*words)
        assert done.exit_code == 0 and " 0 broken" in done.stdout, done.output


def test_a_metric_in_a_package_joins_a_run(
    reader: Callable[[str], Page], package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = MiniSuite.metrics
    monkeypatch.setattr(MiniSuite, "metrics", lambda suite, device: join(suite.name, device, own(suite, device)))
    told, run = reader("add-a-metric.md"), ("run", "--method", "prompt_only", "--limit", "4", "--device", "cpu")
    assert "Bright" not in say(*run).stdout
    package("my_package", told.files["brightness.py"], told.points)
    assert re.search(r"brightness +Bright↓", say("list", "metrics").stdout)
    done = say(*run)  # scores again, and samples nothing again
    assert done.exit_code == 0 and "Bright↓" in done.stdout, done.output
    records = [json.loads(path.read_text()) for path in Path("runs").rglob("record.json")]
    assert all("brightness" in record["scores"]["all"] for record in records) and len(records) == 2
    assert all(record["environment"]["packages"]["my_package"] == "1.2" for record in records)
    assert "done before" in say(*run).stderr
