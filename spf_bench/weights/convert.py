"""Pickled weights, or a model's folder that has some, as safetensors."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.files.pickles import pickles_in
from spf_bench.intake.write import new_folder, refuse_occupied
from spf_bench.weights.pickled import convert as convert_file

TRANSFORMERS = "pytorch_model"
"""What transformers calls pickled weights; safetensors it calls ``model``."""


def convert(source: Path, to: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield every file of safetensors that was written, with its number of tensors and its SHA-256.

    Args:
        source: A pickle, or a model's folder in diffusers' or transformers' layout.
        to: The file or folder to write; a folder is there once all of it is.

    Raises:
        UserError: Something is there already, no pickle is found, or one cannot be converted without running code.
    """
    if source.is_dir():
        yield from _folder(source, to)
        return
    if to.suffix != ".safetensors":
        raise UserError(f"{to} is no name for safetensors", "", f"{to.with_suffix('.safetensors')}")
    if to.exists():
        raise UserError(f"{to} is there already", "nothing was written", "choose another name")
    yield to, *convert_file(source, to)


def _folder(source: Path, to: Path) -> Iterator[tuple[Path, int, str]]:
    found = list(pickles_in(source))
    _refuse_shards(source)
    if not found:
        raise UserError(f"{source} holds no pickled weights", "nothing was written", "use it as it is")
    refuse_occupied(to)
    written = []
    with new_folder(to) as part:
        shutil.copytree(source, part, dirs_exist_ok=True, ignore=lambda folder, names: _pickles(found, folder, names))
        for path in found:
            place = path.relative_to(source)
            if place.name.startswith(TRANSFORMERS):
                place = place.with_name(f"model{place.name.removeprefix(TRANSFORMERS)}")
            place = place.with_suffix(".safetensors")
            if not (part / place).exists():  # both kinds are there: safetensors are taken as they are
                written.append((to / place, *convert_file(path, part / place)))
    yield from written


def _pickles(found: list[Path], folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder) / name in found]


def _refuse_shards(source: Path) -> None:
    """Refuse weights in several files: the list of which tensor lies where would be of no use any more."""
    if lists := sorted(source.rglob("*.bin.index.json")):
        problems = [Problem(str(path.relative_to(source)), "lists weights in several pickles", "") for path in lists]
        raise UserError(
            f"{source} is not converted", "", "save it with save_pretrained(safe_serialization=True)", problems
        )
