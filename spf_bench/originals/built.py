"""Built test sets: where their originals lie, and whether a run may use them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spf_bench.errors import UserError, quoted
from spf_bench.files.store import file_sha256
from spf_bench.originals.about import BUILD, DECIDING, About, differences
from spf_bench.originals.manifest import MANIFEST
from spf_bench.suite import DTYPES, Suite
from spf_bench.testset import FROZEN, SUMS, TestSet

IMAGES = "originals"


def caption_files(folder: Path) -> list[str]:
    """Return the files of a test set that its checksums list, its originals left out."""
    listed = [line.partition("  ")[2] for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    return [name for name in listed if name != FROZEN and name and not name.startswith(f"{IMAGES}/")]


def built(testset: TestSet) -> Path | None:
    """Return the folder of a built test set's originals; None where its captions are all there is."""
    folder = testset.folder / IMAGES
    return folder if (folder / BUILD).is_file() else None


def as_built(suite: Suite, testset: TestSet) -> Suite:
    """Return the suite as it samples beside a built test set: in the precision of the originals there."""
    folder = built(testset)
    about = About.load(folder) if folder else None
    facts = about.origin.get("sampling") if about and isinstance(about.origin, Mapping) else None
    dtype = facts.get("dtype") if isinstance(facts, Mapping) else None
    return suite.sampled_in(dtype) if dtype in DTYPES else suite  # what is neither is refused when the run begins


def manifest_sha256(folder: Path, asked: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a built test set's manifest.

    Raises:
        UserError: Its build is not finished, or a run of the facts ``asked`` would make other originals.
    """
    about, manifest = About.load(folder), folder / MANIFEST
    if about is None or not manifest.is_file():
        fix = f"go on with spf-bench testset build --to {quoted(folder.parent)} ..."
        raise UserError(f"the originals of {folder.parent} are not finished", "", fix)
    problems = list(differences(about.origin, asked, DECIDING))
    if problems:
        fix = f"run with --testset {quoted(about.captions)}, which makes originals of its own, or build anew"
        raise UserError(f"the originals of {folder.parent} are not what this run would make", "", fix, problems)
    return file_sha256(manifest)
