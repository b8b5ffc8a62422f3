"""What a figure is asked for, and the runs it can be drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError, unknown
from spf_bench.report.source import Source, read
from spf_bench.table.model import Entry, collect, comparable
from spf_bench.tracks import Track
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Ask:
    """What is wanted."""

    runs: Path
    """Folder of finished runs."""
    data: tuple[Path, ...] = ()
    """Files or folders to draw, where they do not lie below ``runs``."""
    triples: tuple[str, ...] = ()
    """Ids of triples; none: the first of each category."""
    n: int = 5
    """How many triples where none are named."""
    method: str = "spf"
    """Whose variants are shown."""
    testset: str | None = None
    """Name or folder of the test set, where the runs' own name does not lead to it."""


Draw = Callable[[Ask], "Figure"]


def source(ask: Ask, track: Track, command: str, method: str | None = None) -> Source:
    """Return the runs of one track that hold their images; of a method's seeds, the first.

    Of ``method``, where one is named, and the references alone: what else ran does not decide which table is drawn.

    Raises:
        UserError: There are none; ``command`` makes them.
    """
    entries = [entry for entry in collect(ask.runs) if entry.record.track == track and _wanted(entry, method)]
    kept = [entry for entry in entries if (entry.folder / "images").is_dir()]
    if not kept:
        why = f"{len(entries)} are known, without their images" if entries else "none took place"
        raise UserError(f"no {track} runs with images in {ask.runs}", why, command)
    found = read(_first_seeds(kept), ask.testset)
    if found.note:
        raise UserError(
            "the captions of these runs are not at hand", found.note, "spf-bench figure NUMBER --testset DIR"
        )
    return found


def _wanted(entry: Entry, method: str | None) -> bool:
    return method is None or entry.record.method.reference or entry.record.method.name == method


def _first_seeds(entries: Sequence[Entry]) -> list[Entry]:
    found: dict[tuple[Any, ...], Entry] = {}
    newest = sorted(entries, key=lambda entry: entry.record.created, reverse=True)
    for entry in sorted(newest, key=lambda entry: entry.record.seed or 0):
        method = entry.record.method
        found.setdefault((comparable(entry), method.name, entry.record.preset, *method.changes), entry)
    return list(found.values())


def choose(ask: Ask, triples: Sequence[Triple]) -> list[Triple]:
    """Return the triples asked for, or the first of each category in turn: nobody picks them by eye.

    Raises:
        UserError: An id that these runs do not have.
    """
    known = {triple.origin: triple for triple in reversed(triples)}
    for name in ask.triples:
        if name not in known:
            raise unknown("triple of these runs", name, known, "the ids are in the test set's triples.jsonl")
    if ask.triples:
        return [known[name] for name in ask.triples]
    seen: dict[str, int] = {}
    ranked = []
    for place, triple in enumerate({t.origin: t for t in triples if known[t.origin] is t}.values()):
        seen[triple.category] = seen.get(triple.category, 0) + 1
        ranked.append((seen[triple.category], place, triple))
    return [triple for _, _, triple in sorted(ranked, key=lambda item: item[:2])[: ask.n]]
