"""How long until `--help`, `list` and `table` answer, and which heavy packages does each import?

    python -m benchmarks.startup [--records 100] [--repeats 5]

Each command runs in a process of its own. The bare interpreter and one that imports torch stand beside them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.many_runs import write
from benchmarks.measure import Found, alternate, child, options, ratio, tell

HEAVY = (
    "torch", "torchmetrics", "torchvision", "transformers", "diffusers", "peft", "accelerate", "tokenizers",
    "safetensors", "pandas", "pyarrow", "scipy", "numpy", "PIL", "jinja2", "matplotlib", "flask", "gradio",
    "tensorboard", "optuna", "evalica",
)  # fmt: skip
"""Packages worth a tenth of a second and more, of ours and of the extras."""
COMMANDS = {
    "--help": ("--help",),
    "run --help": ("run", "--help"),
    "list methods": ("list", "methods"),
    "list metrics": ("list", "metrics"),
    "list testsets": ("list", "testsets"),
    "table, {records} records": ("table", "--runs", "{runs}"),
}
BARE, TORCH = "python -c pass", "python -c 'import torch'"
PROBE = """
import json, sys
from spf_bench.cli.app import app
try:
    app({words})
except SystemExit:
    pass
loaded = [name for name in {heavy} if name in sys.modules]
print(json.dumps(loaded), file=sys.stderr)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--triples", type=int, default=500, help="in each record")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.records, asked.triples, asked.repeats = 3, 20, 1
    with tempfile.TemporaryDirectory() as name:
        places = {"runs": str(write(Path(name), asked.records, asked.triples, portraits=False))}
        commands = {
            title.format(records=asked.records): [word.format_map(places) for word in words]
            for title, words in COMMANDS.items()
        }
        tell(__doc__, asked, measure(commands, asked.repeats, 0 if asked.quick else 1))


def measure(commands: dict[str, list[str]], repeats: int, warm_up: int) -> Found:
    """Time every command beside the bare interpreter, and look at what it imports."""
    python = {BARE: ["-c", "pass"], TORCH: ["-c", "import torch"]}
    asked = {**python, **{title: ["-m", "spf_bench.cli", *words] for title, words in commands.items()}}
    cases = {title: partial(child, [sys.executable, *words]) for title, words in asked.items()}
    spent = alternate(cases, repeats, warm_up)
    rows, figures, bare = [], {}, spent[BARE].seconds()
    for title, timing in spent.items():
        heavy = imports(commands[title]) if title in commands else []
        times = (f"{statistics.median(timing.wall):.2f}", f"{timing.seconds():.2f}", ratio(timing.seconds(), bare))
        rows.append((title, *times, ", ".join(heavy) or "–"))
        figures[title] = {**timing.facts(), "heavy": heavy}
    notes = ("ratio: processor seconds, to those of the bare interpreter",)
    return Found(("command", "seconds", "processor", "ratio", "heavy packages"), rows, figures, notes)


def imports(words: Sequence[str]) -> list[str]:
    """Which heavy packages a command of ours has imported when it ends; their own come in with them."""
    script = PROBE.format(words=list(words), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
