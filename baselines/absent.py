"""What the verdicts on the claims go without: runs that do not count, and those that are still to be made."""

from collections import Counter
from collections.abc import Iterator, Sequence

from baselines.standings import OTHERS, STATEMENTS, counted
from spf_bench.table.model import Entry
from spf_bench.tracks import Track

METHODS = (*OTHERS, "spf")  # the originals, which claims name too, come with every run


def absent(entries: Sequence[Entry], preset: str) -> tuple[str, ...]:
    """Return a note for every other budget that runs had, and one with the commands of the runs that are missing.

    Args:
        entries: Finished runs.
        preset: The budget of the runs that count.
    """
    missing = list(_commands({(e.record.track, e.record.method.name) for e in counted(entries, preset)}, preset))
    return (*uncounted(entries, preset), *([f"to run: {'; '.join(missing)}"] if missing else []))


def uncounted(entries: Sequence[Entry], preset: str) -> Iterator[str]:
    """Yield how many runs of each other budget do not count, and the option with which they would."""
    others = Counter(e.record.preset for e in entries if not e.record.method.changes)
    for name, n in sorted((name, n) for name, n in others.items() if name not in (None, preset)):
        said = "1 run of preset {} does not" if n == 1 else f"{n} runs of preset {{}} do not"
        yield f"{said.format(name)} count: --preset {name}"


def _commands(there: set[tuple[str, str]], preset: str) -> Iterator[str]:
    """Yield the command for what each track lacks, of the methods that the claims are about."""
    for track in Track:
        compared = [c for statement in STATEMENTS for c in statement.comparisons if c.track is track]
        asked = {name for c in compared for name in (c.method, c.other)}
        if lacking := [name for name in METHODS if name in asked and (track.value, name) not in there]:
            words = [f"--method {name}" for name in lacking]
            words += [] if track is Track.triples else [f"--track {track.value}"]
            words += [] if preset == "default" else [f"--preset {preset}"]
            yield f"spf-bench run {' '.join(words)}"
