"""Writes a caption set to disk: triples, card, facts and checksums, the same bytes on every machine."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from spf_bench import testset
from spf_bench.captions.build import Case, build
from spf_bench.captions.cards import card
from spf_bench.files.store import file_sha256, write_text

FACTS = "facts.csv"
"""What each base text was drawn from, by id; listed in the checksums."""


def freeze(name: str, root: Path, seed: int = 0) -> Path:
    """Write the test set ``name`` below ``root`` and return its folder.

    Raises:
        UserError: The grammar has no such test set.
    """
    cases = build(name, seed)
    folder = root / name
    testset.save(folder, [case.triple for case in cases], card(name, cases, seed))
    write_text(folder / FACTS, _facts(cases))
    sums = (folder / testset.SUMS).read_text()
    write_text(folder / testset.SUMS, f"{sums}{file_sha256(folder / FACTS)}  {FACTS}\n")
    return folder


def _facts(cases: Sequence[Case]) -> str:
    out = io.StringIO()
    rows = csv.DictWriter(out, ["id", *cases[0].facts], lineterminator="\n")
    rows.writeheader()
    rows.writerows({"id": case.triple.id, **case.facts} for case in cases)
    return out.getvalue()
