"""A test set: frozen triples in ``triples.jsonl``, with a card for people and checksums for machines."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spf_bench.errors import Problem, UserError, unknown
from spf_bench.files.lines import lines, objects
from spf_bench.files.outside import SHA256, inside, path_fault, triple_faults
from spf_bench.files.store import file_sha256, write_text
from spf_bench.triple import Category, Triple

TRIPLES, CARD, SUMS = "triples.jsonl", "CARD.md", "SHA256SUMS"
FROZEN = "originals.parquet"
"""The originals that a test set was frozen with, in one file beside its captions; most have none."""
SHOWN = 1000  # problems: more than anybody reads, less than a terminal loses
ROOTS = (Path(__file__).parent / "_testsets", Path(__file__).parent.parent / "testsets")  # wheel, clone


@dataclass(frozen=True)
class TestSet:
    """Triples under a name; the checksum says which ones, whatever the name."""

    __test__ = False  # pytest would take the class for a test

    name: str
    """What ``--testset`` calls it."""
    triples: tuple[Triple, ...]
    """The triples in their frozen order: any prefix holds the categories in nearly the same proportions."""
    sha256: str
    """SHA-256 of ``triples.jsonl``."""
    folder: Path
    """Where its files lie."""

    def head(self, limit: int | None) -> tuple[Triple, ...]:
        """Return the first ``limit`` triples, or all.

        Raises:
            UserError: The limit is not between 1 and the number of triples.
        """
        if limit is not None and not 1 <= limit <= len(self.triples):
            raise UserError(
                f"--limit {limit} does not fit", f"{self.name} has {len(self.triples)} triples", "choose another"
            )
        return self.triples[:limit]


def available() -> dict[str, Path]:
    """Return the folders of the frozen test sets by name."""
    folders = [folder for root in ROOTS if root.is_dir() for folder in sorted(root.iterdir())]
    return {folder.name: folder for folder in folders if (folder / TRIPLES).is_file()}


def load(name: str) -> TestSet:
    """Load a test set by name, folder or ``triples.jsonl``, refusing one that its checksums do not cover.

    Raises:
        UserError: No such test set, a file differs from its checksum, or a line is not a triple.
    """
    folder = available().get(name) or _folder(name)
    if folder is None:
        raise unknown("test set", name, available(), "spf-bench list testsets")
    verify(folder)
    triples = parse(folder / TRIPLES)
    return TestSet(folder.name, triples, file_sha256(folder / TRIPLES), folder)


def reference(testset: TestSet) -> str:
    """Return what ``load`` finds a test set by: its name if it is among those frozen here, or its folder."""
    known = available().get(testset.name)
    return testset.name if known == testset.folder else str(testset.folder.absolute())


def place(name: str) -> Path:
    """Return the folder that a path means: its own, or that of the triples which it names or links to."""
    path = Path(name)
    with suppress(RuntimeError, ValueError):  # the home of nobody here, or a NUL: no such folder, which is said later
        path = path.expanduser().resolve()
    return path.parent if path.name == TRIPLES else path


def verify(folder: Path) -> None:
    """Compare every file listed in ``SHA256SUMS`` with its checksum.

    Raises:
        UserError: Naming every file that differs or is absent, or that the triples are not listed.
    """
    if not (folder / SUMS).is_file():
        why = "its triples cannot be told from changed ones"
        raise UserError(f"{folder} has no {SUMS}", why, restore(folder))
    problems = list(changed(folder))
    if problems:
        raise UserError(f"test set {folder.name!r} is not as it was frozen", problems=problems)


def changed(folder: Path) -> Iterator[Problem]:
    """Yield the files that are not what ``SHA256SUMS`` says, and the lines of it that say nothing."""
    fix, listed = restore(folder), set()
    for line in lines(folder / SUMS):
        sha256, _, name = line.text.partition("  ")
        if line.fault or (line.text.strip() and (not SHA256.fullmatch(sha256) or path_fault(name))):
            yield Problem(SUMS, f"line {line.number} {line.fault or 'is no checksum of a file'}", fix)
        elif line.text.strip():
            listed.add(name)
            path = inside(folder, name)
            found = file_sha256(path) if path else "no such file"
            if found != sha256:
                yield Problem(name, f"has {found[:12]}, not {sha256[:12]}" if path else "is missing", fix)
    if TRIPLES not in listed:
        yield Problem(TRIPLES, f"not listed in {SUMS}", fix)


def restore(folder: Path) -> str:
    """Return how a changed test set becomes whole again."""
    return f"git checkout -- {folder}" if folder.parent in ROOTS else "restore it from where it came from"


def save(folder: Path, triples: Iterable[Triple], card: str) -> None:
    """Write triples, card and checksums to ``folder``; the checksums come last, so a half-written set fails."""
    write_text(folder / TRIPLES, serialise(triples))
    write_text(folder / CARD, card)
    seal(folder, (TRIPLES, CARD, *([FROZEN] if (folder / FROZEN).is_file() else [])))


def serialise(triples: Iterable[Triple]) -> str:
    """Return triples as ``triples.jsonl`` has them."""
    return "\n".join(json.dumps(triple.to_dict(), ensure_ascii=False) for triple in triples) + "\n"


def seal(folder: Path, names: Iterable[str]) -> None:
    """Write ``SHA256SUMS`` over some of the files in ``folder``."""
    write_text(folder / SUMS, "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names))


def counts(triples: Iterable[Triple]) -> dict[Category, int]:
    """Return how many triples each category has, in the paper's order."""
    found = Counter(triple.category for triple in triples)
    return {category: found[category] for category in Category if found[category]}


def _folder(name: str) -> Path | None:
    """Return the folder of somebody's own test set, or of its triples, by its real name, which runs are filed under."""
    try:
        folder = place(name)
        return folder if (folder / TRIPLES).is_file() else None
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None


def parse(path: Path) -> tuple[Triple, ...]:
    """Read the triples, which may be anybody's.

    Raises:
        UserError: Lines are not triples or repeat an id; all of them are named.
    """
    triples: dict[str, Triple] = {}
    problems = []
    for number, data, fault in objects(lines(path)):
        faults = [("line", fault)] if fault else list(triple_faults(data))
        if not faults and data["id"].casefold() in triples:
            faults = [("id", f"{data['id']!r} stands there twice")]
        problems += [Problem(f"line {number}", f"{name} {why}", "") for name, why in faults]
        if not faults:
            triples[data["id"].casefold()] = Triple.from_dict(data)
    if problems or not triples:
        count = "a problem" if len(problems) == 1 else f"{len(problems):,} problems"
        what = f"{count} in {path}" if problems else f"{path} holds no triple"
        raise UserError(what, "" if problems else "it is empty", problems=problems[:SHOWN])
    return tuple(triples.values())
