"""The miniature benchmark for conformance tests, and packages with entry points, as pip would have installed them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.conformance import conform
from spf_bench.conformance.check import Outcome, Result
from tests.bench.conftest import MiniSuite, frozen, suite  # noqa: F401
from tests.bench.metrics.conftest import world_folders, world_metrics  # noqa: F401

Package = Callable[[str, str, Mapping[str, Mapping[str, str]]], None]


@pytest.fixture
def quick(suite: MiniSuite, frozen: testset.TestSet, monkeypatch: pytest.MonkeyPatch) -> MiniSuite:  # noqa: F811
    """The miniature suite with one sampling step: what is compared is sampled alike, however roughly."""
    monkeypatch.setattr(MiniSuite, "sampling", replace(suite.sampling, steps=1))
    return suite


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Installs a package of one module: its name, its code, and its entry points by group."""

    def install(name: str, code: str, points: Mapping[str, Mapping[str, str]]) -> None:
        root = tmp_path / f"site-{name}"
        info = root / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (root / f"{name}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        sections = [[f"[{group}]", *(f"{key} = {value}" for key, value in of.items())] for group, of in points.items()]
        (info / "entry_points.txt").write_text("\n".join(line for lines in sections for line in lines))
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(root)

    return install


@pytest.fixture
def results(quick: MiniSuite, tmp_path: Path) -> Callable[..., dict[str, Result]]:
    """Tests a method or metric, given by its address or the code of a class X, and returns the results by name."""

    def examine(subject: str, *changes: str, until: str = "") -> dict[str, Result]:
        if "\n" in subject:
            file = tmp_path / "subject.py"
            file.write_text(subject)
            subject = f"{file}:X"
        folder = tmp_path / "trial"
        folder.mkdir(exist_ok=True)
        found = {}
        for result in conform(subject, quick, folder, changes).results:
            found[result.name] = result
            if result.name == until:
                break
        return found

    return examine


def broken(results: Mapping[str, Result]) -> set[str]:
    """The names of the promises that are not kept."""
    return {name for name, result in results.items() if result.outcome is Outcome.failed}
