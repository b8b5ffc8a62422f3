"""How long do `table` and `report` take over 5,000 triples x 20 methods, and how much memory?

    python -m benchmarks.scale [--triples 5000] [--methods 20] [--repeats 3]

Each command runs in a process of its own, from start to end, over runs of random scores and portraits of 64 px.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.many_runs import write
from benchmarks.measure import Found, child, options, tell

COMMANDS = {
    "table": ("table",),
    "table --by category": ("table", "--by", "category"),
    "table --significance": ("table", "--significance"),
    "report": ("report", "--testset", "{testset}", "--to", "{page}"),
}
LIMIT_MIB = 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = options(__doc__)
    parser.add_argument("--triples", type=int, default=5000)
    parser.add_argument("--methods", type=int, default=20, help="the original among them")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.triples, asked.methods, asked.repeats = 60, 3, 1
    with tempfile.TemporaryDirectory() as name:
        runs = write(Path(name), asked.methods, asked.triples, portraits=True)
        spent = measure(runs, asked.repeats)
    rows, figures = [], {}
    for command, found in spent.items():
        wall, cpu, peaks = (list(column) for column in zip(*found, strict=True))
        seconds, busy, peak = statistics.median(wall), statistics.median(cpu), max(peaks)
        rows.append((command, f"{seconds:.1f}", f"{busy:.1f}", f"{peak:.0f}", f"{peak / LIMIT_MIB:.2f}"))
        figures[command] = {"wall": round(seconds, 2), "cpu": round(busy, 2), "peak_mib": round(peak)}
    head = (f"{asked.triples:,} triples x {asked.methods} methods", "seconds", "processor", "peak MiB", "of 1 GiB")
    tell(__doc__, asked, Found(head, rows, figures))


def measure(runs: Path, repeats: int) -> dict[str, list[tuple[float, float, float]]]:
    """Seconds, processor seconds and peak MiB of every command, in turns."""
    places = {"testset": str(runs.parent / "testsets" / "many"), "page": str(runs.parent / "report.html")}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, words in COMMANDS.items():
            command = [sys.executable, "-m", "spf_bench.cli", *(word.format_map(places) for word in words)]
            found[name].append(child([*command, "--runs", str(runs)]))
    return found


if __name__ == "__main__":
    main()
