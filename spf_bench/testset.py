"""A test set: frozen triples in ``triples.jsonl``, with a card for people and checksums for machines."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spf_bench.errors import Problem, UserError, unknown
from spf_bench.store import file_sha256, write_text
from spf_bench.triple import Category, Triple

TRIPLES, CARD, SUMS = "triples.jsonl", "CARD.md", "SHA256SUMS"
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
    """Load a test set by name or folder, refusing one that its checksums do not cover.

    Raises:
        UserError: No such test set, a file differs from its checksum, or a line is not a triple.
    """
    folder = Path(name) if "/" in name else available().get(name)
    if folder is None or not (folder / TRIPLES).is_file():
        raise unknown("test set", name, available(), "spf-bench list testsets")
    verify(folder)
    triples = tuple(_parse(folder / TRIPLES))
    repeated = [key for key, count in Counter(triple.id for triple in triples).items() if count > 1]
    if repeated:
        raise UserError(f"{folder / TRIPLES} repeats ids", ", ".join(repeated[:5]), "ids must be unique")
    return TestSet(folder.name, triples, file_sha256(folder / TRIPLES), folder)


def verify(folder: Path) -> None:
    """Compare every file listed in ``SHA256SUMS`` with its checksum.

    Raises:
        UserError: Naming every file that differs or is absent, or that the triples are not listed.
    """
    fix = f"git checkout -- {folder}"
    if not (folder / SUMS).is_file():
        raise UserError(f"{folder} has no {SUMS}", "its triples cannot be told from changed ones", fix)
    lines = (folder / SUMS).read_text().splitlines()
    sums = {name: sha256 for sha256, name in (line.split(maxsplit=1) for line in lines if line.strip())}
    problems = [] if TRIPLES in sums else [Problem(TRIPLES, f"not listed in {SUMS}", fix)]
    for name, sha256 in sums.items():
        found = file_sha256(folder / name) if (folder / name).is_file() else "no such file"
        if found != sha256:
            problems.append(Problem(name, f"has {found[:12]}, not {sha256[:12]}", fix))
    if problems:
        raise UserError(f"test set {folder.name!r} is not as it was frozen", problems=problems)


def save(folder: Path, triples: Iterable[Triple], card: str) -> None:
    """Write triples, card and checksums to ``folder``; the checksums come last, so a half-written set fails."""
    lines = [json.dumps(triple.to_dict(), ensure_ascii=False) for triple in triples]
    write_text(folder / TRIPLES, "\n".join(lines) + "\n")
    write_text(folder / CARD, card)
    write_text(folder / SUMS, "".join(f"{file_sha256(folder / name)}  {name}\n" for name in (TRIPLES, CARD)))


def counts(triples: Iterable[Triple]) -> dict[Category, int]:
    """Return how many triples each category has, in the paper's order."""
    found = Counter(triple.category for triple in triples)
    return {category: found[category] for category in Category if found[category]}


def _parse(path: Path) -> Iterable[Triple]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield Triple.from_dict(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}, line {number} is not a triple", str(error)) from error
