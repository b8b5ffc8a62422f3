"""What is given as a method or metric: names, addresses of files, and files that are no modules."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spf_bench.errors import UserError
from spf_bench.method import Method, get_method
from spf_bench.metrics.plugins import checked
from spf_bench.plugins import from_file
from tests.fuzz.outcome import fuzzed, outcome, writes_only_below
from tests.fuzz.strategies import damaged, texts

METHOD = b'''"""A method."""
from spf_bench.method import Method


class Mine(Method):
    name = "mine"
    title = "Mine"
    source = "here"
'''
SOURCES = (
    METHOD, b"", b"\x00", b"\xff\xfe", b"import nothing_of_this_name", b"raise SystemExit(3)", b"1 / 0",
    b"class Mine: pass",
    b"def f(:", b"Mine = 3", b"# -*- coding: nonsense -*-", b"(" * 500, b"raise RecursionError", b"from .near import x",
    b"class Mine(__import__('spf_bench.method', fromlist=['x']).Method):\n name = '../x'\n title = source = 'y'\n",
)  # fmt: skip


@fuzzed()
@given(address=st.one_of(texts, st.builds("{}.py:{}".format, texts, texts)))
@example(address="\0.py:Mine")
@example(address="a" * 300 + ".py")
@example(address="~nobody_of_this_name/x.py:Mine")
def test_addresses(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with writes_only_below(tmp_path):
        found = outcome(lambda: get_method(address))
    assert isinstance(found, UserError) or found.name == address  # nothing but a name of ours is a method here


@fuzzed()
@given(data=st.data(), name=st.sampled_from(("Mine", "", "Mine.x", "__builtins__", "Method", "é")))
def test_files_that_are_no_modules(tmp_path: Path, data: st.DataObject, name: str) -> None:
    source = data.draw(st.one_of(st.sampled_from(SOURCES), damaged(METHOD)))
    number = len(list(tmp_path.iterdir()))
    path = tmp_path / f"mine{number}.py"
    path.write_bytes(source)
    with writes_only_below(tmp_path, "__pycache__"):
        found = outcome(lambda: get_method(f"{path}:{name}"))
        metric = outcome(lambda: checked(from_file(f"{path}:{name}"), str(path)))
    assert isinstance(found, UserError) or (name == "Mine" and isinstance(found, Method))
    assert isinstance(metric, UserError)  # none of the files has one
