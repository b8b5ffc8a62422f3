"""Does a command that is killed at random moments, again and again, end with what an undisturbed one ends with?

    python -m benchmarks.soak [run] [train] [build] [score] [--kills 30] [--seed 0] [--work FOLDER]

Each command first runs undisturbed. Then it is started and killed at a random moment of that time, until it was killed
often enough; after every kill no file may be there by halves, and whenever it ends by itself its images, scores,
weights and record must be those of the undisturbed one, to the byte where they do not tell the time. Then it starts
anew. A failure ends the soak with exit 1 and leaves both folders. The embedded world, on the CPU, in one thread.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import keep, options
from spf_bench.files.headers import PREFIX, safetensors_header
from spf_bench.files.intact import whole

LIMIT = "16"
SMALL = ["--device", "cpu", "--threads", "1"]
TRIMMED = ["--set", "stage1.steps=12", "--set", "stage1.checkpoint_every=3"]
COMMANDS = {
    "run": ["run", "--method", "naive", "--preset", "quick", *TRIMMED, "--limit", LIMIT, "--runs", "{out}"],
    "train": ["train", "--method", "naive", "--preset", "quick", *TRIMMED, "--limit", LIMIT, "--out", "{out}"],
    "build": ["testset", "build", "--limit", LIMIT, "--batch", "4", "--to", "{out}"],
    "score": [
        "score",
        "--originals",
        "{in}/o",
        "--customised",
        "{in}/c",
        "--captions",
        "{in}/c.jsonl",
        "--out",
        "{out}",
    ],
}
EXACT = {".png", ".parquet"}
LISTS = {"manifest.jsonl", "triples.jsonl", "SHA256SUMS"}
TIMES = {"created", "seconds", "memory", "training", "environment", "command", "facts"}
"""What of a record tells when, where and how fast it was made."""


class Broken(Exception):
    """A kill did what no kill may do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak and print what came of it."""
    parser = options(__doc__)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; by default all")
    parser.add_argument("--kills", type=int, default=30, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="folder to work in, kept; by default one that goes")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.commands, asked.kills = asked.commands or ["build"], 1
    if unknown := sorted(set(asked.commands) - set(COMMANDS)):
        parser.error(f"no such command: {', '.join(unknown)}; there are {', '.join(COMMANDS)}")
    work = asked.work or Path(tempfile.mkdtemp(prefix="soak-"))
    results = []
    for name in asked.commands or COMMANDS:
        try:
            results.append(soak(name, work / name, asked.kills, random.Random(asked.seed)))
        except Broken as error:
            print(f"{name}: {error}\n  look into {work / name}", file=sys.stderr)
            return 1
        print("{command}: {kills} kills, {ends} ends as undisturbed ({seconds} s undisturbed)".format(**results[-1]))
    keep(__doc__, asked, {"commands": results})
    if asked.work is None:
        shutil.rmtree(work)
    return 0


def soak(name: str, folder: Path, kills: int, moments: random.Random) -> dict[str, Any]:
    """Kill one command ``kills`` times; raises Broken where it shows."""
    undisturbed, out = folder / "undisturbed" / name, folder / "killed" / name  # of one name: files may hold it
    folder.mkdir(parents=True, exist_ok=True)
    if name == "score":
        prepare(folder / "in")
    start = time.monotonic()
    finish(begin(name, folder, undisturbed))
    length, done, ends = time.monotonic() - start, 0, 0
    while done < kills or ends == 0:
        process = begin(name, folder, out)
        if done < kills and killed(process, moments.uniform(0.2, 1.0) * length):
            done += 1
            refuse_halves(out)
            continue
        finish(process)
        compare(undisturbed, out)
        shutil.rmtree(out)
        ends += 1
    return {"command": name, "kills": done, "ends": ends, "seconds": round(length, 1)}


def begin(name: str, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, what it says kept beside its folder."""
    places = {"{out}": str(out), "{in}": str(folder / "in")}
    words = list(COMMANDS[name])
    for place, value in places.items():
        words = [word.replace(place, value) for word in words]
    with (folder / "output.txt").open("ab") as log:
        command = [sys.executable, "-m", "spf_bench.cli", *words, *SMALL]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def killed(process: subprocess.Popen[bytes], after: float) -> bool:
    """Kill a process and all it started after some seconds; False where it ended before."""
    try:
        process.wait(after)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)  # it is in a session of its own, where no Ctrl-C comes
        raise
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL
    return False


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process; raises Broken where it fails."""
    if code := process.wait():
        raise Broken(f"it ended with exit {code}: see output.txt")


def refuse_halves(out: Path) -> None:
    """Raise Broken where a file is there by halves under its own name."""
    halves = [str(path.relative_to(out)) for path in files(out) if not whole(path)]
    if halves:
        raise Broken(f"not whole after a kill: {', '.join(halves)}")


def compare(undisturbed: Path, out: Path) -> None:
    """Raise Broken where what was killed ended with anything else."""
    first, second = (
        {str(path.relative_to(place)): told(path) for path in files(place)} for place in (undisturbed, out)
    )
    different = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if different:
        raise Broken(f"other than undisturbed: {', '.join(different)}")


def files(out: Path) -> Iterator[Path]:
    """Yield all files but hidden ones, which nothing takes for results."""
    for path in out.rglob("*"):
        parts = path.relative_to(out).parts
        if path.is_file() and not any(part.startswith(".") for part in parts) and "tfevents" not in path.name:
            yield path


def told(path: Path) -> Any:
    """Return what of a file must not differ."""
    if path.name == "record.json":
        return {key: value for key, value in json.loads(path.read_text()).items() if key not in TIMES}
    if path.suffix == ".safetensors":
        return weights(path)
    return path.read_bytes() if path.suffix in EXACT or path.name in LISTS else None


def weights(path: Path) -> tuple[Any, bytes]:
    """Return header and bytes of tensors apart: the writer of the format keeps no order within the metadata."""
    raw = path.read_bytes()
    return safetensors_header(path), raw[PREFIX + int.from_bytes(raw[:PREFIX], "little") :]


def prepare(folder: Path) -> None:
    """Make a few portraits for ``score``: originals, customised ones, and their captions."""
    words = ["run", "--method", "prompt_only", "--limit", LIMIT, "--runs", str(folder / "runs"), *SMALL]
    subprocess.run([sys.executable, "-m", "spf_bench.cli", *words], check=True, capture_output=True)
    from spf_bench.suite import get_suite
    from spf_bench.testset import load

    (originals,) = (folder / "runs" / "cache").glob("originals-*")
    (images,) = (folder / "runs").glob("*/prompt_only-*/images")
    lines = []
    for triple in load(get_suite("world").testset).head(int(LIMIT)):
        for source, name in ((originals, "o"), (images, "c")):
            (folder / name).mkdir(exist_ok=True)
            shutil.copyfile(source / f"{triple.id}.png", folder / name / f"{triple.id}.png")
        lines.append({"id": triple.id, "base": triple.base, "target": triple.target, "category": triple.category.value})
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
