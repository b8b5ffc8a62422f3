"""The documentation: every page is in the site, the site builds, and every command on it exists."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from spf_bench.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.S | re.M)
INLINE = re.compile(r"`(spf-bench [^`]+)`")


def _files(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _files(part)


def test_every_page_is_in_the_site() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = list(_files(settings["nav"]))
    assert sorted(listed) == [page.name for page in PAGES[1:]]


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_site_builds(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text()
    assert "spf-bench" in page
    asked = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert asked == []  # a reader's browser asks nobody else


def _commands(text: str) -> Iterator[list[str]]:
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            _, found, words = line.partition("spf-bench ")
            if found and not line.lstrip().startswith("#") and re.match(r"(\w+=\S+ |uv run )*spf-bench ", line):
                yield shlex.split(words, comments=True)
    for line in INLINE.findall(BLOCK.sub("", text)):
        yield shlex.split(line, comments=True)[1:]


def _stale(words: list[str]) -> list[str]:
    """Return what of a command line does not exist."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0] in ("...", "--help"):
            return []
        name = rest.pop(0).rstrip(",;")
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {word for one in command.params for word in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    return [word for word in rest if word.startswith("-") and word.split("=")[0] not in known]


def test_what_does_not_exist_is_found() -> None:
    told = "```\nspf-bench rnu\nexport A=1\nA=1 spf-bench run --methd x --limit=3 # why\n```\nand `spf-bench show maps`"
    assert [_stale(words) for words in _commands(told)] == [["rnu"], ["--methd"], ["maps"]]
    assert sum(len(list(_commands(page.read_text()))) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    wrong = {" ".join(words): stale for words in _commands(page.read_text()) if (stale := _stale(words))}
    assert wrong == {}
