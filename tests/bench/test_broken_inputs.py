"""Every kind of broken input is answered in words, all that is wrong at once, and leaves nothing behind.

``broken.txt`` is the transcript. A message that was changed on purpose is written anew by
``SPF_TRANSCRIPT=write pytest tests/bench/test_broken_inputs.py -n 0``.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spf_bench.files.pickles import ALLOW
from tests.bench.broken import CASES, Case

Cli = Callable[..., Any]
TRANSCRIPT = Path(__file__).with_name("broken.txt")


def _answers() -> dict[str, str]:
    blocks = TRANSCRIPT.read_text(encoding="utf-8").split("# ")[1:] if TRANSCRIPT.is_file() else []
    return {name: told.strip() for name, _, told in (block.partition("\n") for block in blocks)}


def _answer(cli: Cli, case: Case, folder: Path) -> str:
    """Type a command and return it with what is told, less the folder's own name."""
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if case.prepare is not None:
        case.prepare(folder)
    before = {path for path in folder.rglob("*") if path.is_file()}
    done = cli(*case.words.split())
    assert done.exit_code == 2 and "Traceback" not in done.output and not done.stdout
    assert {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"} == before
    return f"$ spf-bench {case.words}\n{done.stderr.replace(str(folder), '.').strip()}"


@pytest.mark.parametrize("part", range(4))
def test_broken_inputs_are_answered_word_for_word(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setenv(ALLOW, "")
    found = {}
    for number, case in enumerate(CASES[part::4]):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        found[case.name] = _answer(cli, case, folder)
    known = _answers()
    if os.environ.get("SPF_TRANSCRIPT") == "write":
        known |= found
        told = [f"# {case.name}\n{known[case.name]}\n" for case in CASES if case.name in known]
        TRANSCRIPT.write_text("\n".join(told), encoding="utf-8")
    assert found == {name: known.get(name) for name in found}


def test_the_transcript_has_every_case_once() -> None:
    assert list(_answers()) == [case.name for case in CASES] and len(CASES) >= 20
