"""Originals that a test set was frozen with: one file beside its captions, so that everybody compares with the same.

``originals.parquet`` holds id, SHA-256 and PNG of each, and in its metadata what they were made of. A run of the
same base model and sampling takes them from there; any other makes its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spf_bench import testset as testsets
from spf_bench.errors import UserError, explained, quoted
from spf_bench.files.store import file_sha256, write_atomic, write_bytes
from spf_bench.originals.about import DECIDING, About, differences
from spf_bench.originals.built import built, caption_files
from spf_bench.originals.manifest import Manifest
from spf_bench.testset import FROZEN, TestSet
from spf_bench.triple import Triple, image

KEY = b"spf_bench"
"""Of the file's own metadata."""


def freeze(testset: TestSet, originals: Path) -> Path:
    """Put all originals of a test set, made before in the folder ``originals``, beside its captions; return the file.

    Raises:
        UserError: They are not those of this test set, or not all there as they were made, or it was built with some.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if built(testset) is not None:
        raise UserError(f"{testset.folder} has its originals already", "it was built with them", "freeze its captions")
    about, manifest = About.load(originals), Manifest(originals)
    if about is None or about.origin.get("testset") != testset.sha256:
        raise UserError(f"{originals} are not the originals of {testset.name}", fix="spf-bench testset build")
    sums = manifest.sound(testset.triples)
    if lacking := len(testset.triples) - len(sums):
        fix = f"spf-bench testset verify {quoted(originals)}"
        raise UserError(f"{lacking} originals of {testset.name} are not there", "", fix)
    pictures = [image(originals, triple).read_bytes() for triple in testset.triples]
    ids = [triple.id for triple in testset.triples]
    table = pa.table({"id": ids, "sha256": [sums[key] for key in ids], "png": pa.array(pictures, pa.binary())})
    table = table.replace_schema_metadata({KEY: json.dumps(asdict(about), sort_keys=True)})
    path = testset.folder / FROZEN
    write_atomic(path, lambda part: pq.write_table(table, part))
    testsets.seal(testset.folder, [*caption_files(testset.folder), FROZEN])
    return path


def about_frozen(folder: Path) -> About | None:
    """Return what those originals were made of that a test set was frozen with; None where there are none.

    Raises:
        UserError: The file cannot be read.
    """
    import pyarrow.parquet as pq

    path = folder / FROZEN
    if not path.is_file():
        return None
    with explained(f"{path} cannot be read", testsets.restore(folder)):
        return About(**json.loads(pq.read_schema(path).metadata[KEY]))


def unpack(testset: TestSet, triples: Sequence[Triple], to: Path) -> list[Triple]:
    """Write the frozen originals of ``triples`` into a folder, and return those of which there is one.

    Raises:
        UserError: The file cannot be read.
    """
    import pyarrow.parquet as pq

    path = testset.folder / FROZEN
    with explained(f"{path} cannot be read", testsets.restore(testset.folder)):
        found = pq.read_table(path, columns=["id", "png"]).to_pydict()
    pictures = dict(zip(found["id"], found["png"], strict=True))
    there = [triple for triple in triples if triple.id in pictures]
    for triple in there:
        write_bytes(image(to, triple), pictures[triple.id])
    return there


def thaw(testset: TestSet, origin: Mapping[str, Any], triples: Sequence[Triple], folder: Path) -> int:
    """Put the frozen originals of ``triples`` in a folder of originals, as far as they are not there; return how many.

    None where the test set was frozen without any, or with those of another base model or other sampling.

    Args:
        testset: Whose files were compared with their checksums when it was loaded.
        origin: What decides the pixels of the originals that are asked for.
        triples: Some of the test set.
        folder: Of the originals, with what is known of them.

    Raises:
        UserError: The file cannot be read.
    """
    about = about_frozen(testset.folder)
    if about is None or any(differences(about.origin, origin, DECIDING)):
        return 0
    manifest = Manifest(folder)
    sound = manifest.sound(triples)
    gaps = [triple for triple in triples if triple.id not in sound]
    if made := unpack(testset, gaps, folder) if gaps else []:
        manifest.add({triple.id: file_sha256(image(folder, triple)) for triple in made})
    return len(made)
