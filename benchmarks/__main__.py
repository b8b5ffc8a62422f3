"""Runs benchmarks one after another, each in a process of its own, and gathers what they found in one JSON.

python -m benchmarks --list
python -m benchmarks scoring startup --quick --json figures.json
python -m benchmarks scoring --pairs 64  # what one benchmark alone knows
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spf_bench.files.store import read_json, write_json

HERE = Path(__file__).parent
FAILED = 1


def known(folder: Path = HERE) -> dict[str, str]:
    """The question of every benchmark by name: the first line of a file that has a `main`. Nothing is imported."""
    found = {}
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for; 1 if one of them fails, which stops none of the others."""
    questions, parser = known(), _parser()
    asked, more = parser.parse_known_args(arguments)
    if asked.list:
        width = max(map(len, questions))
        print("\n".join(f"{name:{width}}  {question}" for name, question in questions.items()))
        return 0
    if unknown := sorted(set(asked.names) - set(questions)):
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(questions)}")
    if more and len(asked.names) != 1:
        parser.error(f"{' '.join(more)}: of one benchmark alone; name it, and no other")
    names = asked.names or list(questions)
    with tempfile.TemporaryDirectory() as folder:
        words = [*(["--quick"] if asked.quick else []), *more]
        found = {name: measured(name, questions[name], words, Path(folder) / f"{name}.json") for name in names}
    if asked.json:
        write_json(asked.json, {"benchmarks": found})
    failed = [name for name, one in found.items() if "failed" in one]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return FAILED if failed else 0


def measured(name: str, question: str, words: Sequence[str], to: Path) -> dict[str, Any]:
    """What one benchmark found, in a process that has no memory, threads or caches of the others."""
    print(f"\n{name}: {question}", flush=True)
    code = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *words, "--json", str(to)]).returncode
    if code or not to.is_file():
        return {"question": question, "failed": f"exit {code}"}
    found: dict[str, Any] = read_json(to)
    return found


def _parser() -> argparse.ArgumentParser:
    about: Any = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, formatter_class=about)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; by default all, which takes hours")
    parser.add_argument("--list", action="store_true", help="name all with their questions, and stop")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all; its figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
