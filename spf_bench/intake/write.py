"""Writes an imported test set in one step, once nothing is wrong with it any more."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from spf_bench import testset
from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import category_fault, name_fault
from spf_bench.files.store import file_sha256, write_png
from spf_bench.intake import pictures
from spf_bench.intake.rows import read
from spf_bench.intake.triples import Case, cases, repeats
from spf_bench.originals.built import IMAGES
from spf_bench.triple import Triple


def import_captions(
    source: Path, to: Path, images: Path | None = None, category: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> int:  # fmt: skip
    """Make a test set of a CSV or JSONL file, and return how many triples it has.

    Args:
        source: The file; its columns are those of ``spf_bench.intake.rows.COLUMNS``.
        to: The test set's folder; its last part is its name.
        images: Folder of the images that rows name; by default the file's own.
        category: What rows without a category belong to.
        say: Told what a user should know and need not mend.

    Raises:
        UserError: Something is wrong; all of it is named, and nothing is written.
    """
    name = to.absolute().name
    if wrong := name_fault(name):
        raise UserError("cannot import", wrong, "choose another folder with --to")
    if category is not None and (wrong := category_fault(category)):
        raise UserError("cannot import", wrong, "choose another")
    refuse_occupied(to)
    table = read(source)
    mixed = list(cases(table.rows, name, category))
    found = [one for one in mixed if isinstance(one, Case)]
    folder = images or source.parent
    faults = [one for one in mixed if not isinstance(one, Case)]
    faults += [*repeats(found), *pictures.faults(folder, found)]
    if faults:
        report(source, faults)
    if table.unused:
        say(f"columns not used: {', '.join(table.unused)}")
    with new_folder(to) as part:
        triples = [_with_image(one, folder, part) for one in found]
        testset.save(part, triples, _card(name, source, triples))
    return len(found)


def report(source: Path, faults: Sequence[tuple[int, str]]) -> None:
    """Raise UserError naming every fault by its line."""
    problems = [Problem(f"line {line}", why, "") for line, why in sorted(faults)]
    if len(problems) > testset.SHOWN:
        rest = len(problems) - testset.SHOWN
        problems = [*problems[: testset.SHOWN], Problem("...", f"and {rest:,} more", "")]
    count = "a problem" if len(faults) == 1 else f"{len(faults):,} problems"
    raise UserError(f"{count} in {source}", "nothing was written", "mend the lines and import again", problems)


def refuse_occupied(to: Path) -> None:
    """Raise UserError unless ``to`` is free: nothing there, or an empty folder."""
    if to.is_symlink() or (to.exists() and not (to.is_dir() and not any(to.iterdir()))):
        raise UserError(f"{to} is there already", "nothing was written", "choose another folder with --to")


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """Yield a folder to fill, which becomes ``to`` in one step once it is full, and vanishes if it never is."""
    to.absolute().parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.absolute().parent))
    try:
        yield part
        part.chmod(0o755)  # mkdtemp makes folders only their owner can read
        os.rename(part, to)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _with_image(case: Case, folder: Path, to: Path) -> Triple:
    if case.image is None:
        return case.triple
    name = f"{IMAGES}/{case.triple.id}.png"
    write_png(to / name, pictures.pixels(folder, case.image))
    return replace(case.triple, original=name, sha256=file_sha256(to / name))


def _card(name: str, source: Path, triples: Sequence[Triple]) -> str:
    images = sum(triple.original is not None for triple in triples)
    counts = "".join(f"| {category.label} | {n} |\n" for category, n in testset.counts(triples).items())
    return f"""# {name}

{len(triples)} triples imported from `{source.name}` (SHA-256 {file_sha256(source)}).

- **Originals**: {images} came with the captions; the base model makes the others from base text and seed.
- **Noise seeds** are the file's own where it has some; otherwise the SHA-256 of the triple's id modulo 2^31.
- **Licence**: that of the captions and images imported; it is not stated here.

| category | triples |
| --- | --- |
{counts}"""
