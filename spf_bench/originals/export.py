"""Exports a test set with its originals as an image folder, as ``datasets`` and the Hugging Face Hub read it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spf_bench import testset as testsets
from spf_bench.errors import Problem, UserError, quoted
from spf_bench.files.store import copy_file, file_sha256, write_text
from spf_bench.intake.write import new_folder, refuse_occupied
from spf_bench.originals.about import About
from spf_bench.originals.frozen import about_frozen, unpack
from spf_bench.originals.verify import Place, captions, examine
from spf_bench.testset import TestSet
from spf_bench.triple import Triple, image

SPLIT = "test"


def export(place: Place, to: Path) -> int:
    """Write the triples that have an original below ``to``, and return how many; what cannot be whole is not written.

    Raises:
        UserError: The test set is damaged, has no originals, or ``to`` is not free.
    """
    refuse_occupied(to)
    found = examine(place)
    if not found.sound:
        problems = [*found.files, *(Problem(f"{triple.id}.png", state, "") for triple, state in found.images)]
        fix = f"spf-bench testset verify {quoted(place.folder)} --repair"
        raise UserError(f"{place.folder} is damaged", "", fix, problems)
    testset = captions(place)
    with new_folder(to) as part:
        triples = _gathered(place, testset, part / SPLIT)
        if not triples:
            fix = f"spf-bench testset build --captions {quoted(place.folder)} --to DIR"
            raise UserError(f"{place.folder} has no originals", "captions are all there is", fix)
        write_text(part / SPLIT / "metadata.jsonl", "".join(_row(triple, part / SPLIT) for triple in triples))
        about = place.about or about_frozen(place.folder)
        write_text(part / "README.md", _readme(testset, triples, about))
    return len(triples)


def _gathered(place: Place, testset: TestSet, to: Path) -> list[Triple]:
    """Put the originals in a folder, and return the triples that have one."""
    if place.images is None and about_frozen(place.folder) is not None:
        return unpack(testset, testset.triples, to)
    pairs = [(triple, path) for triple in testset.triples if (path := _path(place, triple)) is not None]
    for triple, path in pairs:
        copy_file(path, image(to, triple))
    return [triple for triple, _ in pairs]


def _path(place: Place, triple: Triple) -> Path | None:
    if place.images is not None:
        path = image(place.images, triple)
        return path if path.is_file() else None
    return place.folder / triple.original if triple.original is not None else None


def _row(triple: Triple, images: Path) -> str:
    fields: dict[str, Any] = {"file_name": f"{triple.id}.png", **triple.to_dict(), "prompt": triple.prompt}
    fields.pop("original", None)
    fields["sha256"] = file_sha256(image(images, triple))
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _readme(testset: TestSet, triples: Sequence[Triple], about: About | None) -> str:
    n = len(triples)
    size = next((f"n<{top}K" if top == 1 else f"1K<n<{top}K" for top in (1, 10) if n < top * 1000), "10K<n<100K")
    counts = "".join(f"| {category.label} | {count} |\n" for category, count in testsets.counts(triples).items())
    return f"""---
pretty_name: {testset.name}
language: en
task_categories:
- text-to-image
size_categories:
- {size}
---

# {testset.name}

{n} triples for customised portraits: the image is the original portrait, `base` its caption, `target` the attribute to
add, `seed` that of the initial noise. Captions: SHA-256 {testset.sha256}.

{_made(about)}
Licences of the captions and of the base model's images are those of their sources; none is stated here.

| category | triples |
| --- | --- |
{counts}
```python
from datasets import load_dataset

triples = load_dataset("imagefolder", data_dir=".", split="{SPLIT}")
```
"""


def _made(about: About | None) -> str:
    if about is None:
        return "The images were imported with the captions.\n"
    how, facts = about.sampling, about.origin
    model = about.base_model or f"the base model of the suite {about.suite}"
    return (
        f"The images were made with {model} (SHA-256 {facts['pipeline']}): {how.scheduler}, {how.steps} steps, "
        f"guidance {how.guidance:g}, negative prompt {how.negative_prompt!r}, {how.dtype}, on {facts['device']}.\n"
    )
