"""Checkpoints that the user names, in place of one that the run would train."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import Problem, UserError, quoted
from spf_bench.files.intact import whole
from spf_bench.files.pickles import converted
from spf_bench.files.store import digest, file_sha256, folder_sha256, read_json
from spf_bench.models.checkpoint import CONFIG, refuse_foreign

if TYPE_CHECKING:
    from spf_bench.method import Method
    from spf_bench.suite import Suite

UNET = "unet"
WEIGHTS = "*.safetensors"
TOLD = ("run.json", "training.json", "artifact.json")
"""Files in which a training says what it was: the trainer's stage, its exported pipeline, the runs' cache."""
INDEX = "model_index.json"
SHORT = 8  # hex digits of a hash that tell checkpoints apart in a table


@dataclass(frozen=True)
class Given:
    """A checkpoint made elsewhere, or by an earlier training."""

    asked: Path
    """What the user named."""
    folder: Path
    """What the method loads."""
    sha256: str
    """SHA-256 over the files that decide its pixels."""
    told: dict[str, Any]
    """What its own files tell of its training."""

    @classmethod
    def of(cls, asked: Path, method: "Method", suite: "Suite") -> "Given":
        """Return the checkpoint in a folder, or in the one of its stages that is the method's.

        Raises:
            UserError: There is none, or it is damaged, not finished, of another method or of another base model.
        """
        if not method.trains:
            why = f"{method.title} trains nothing, so it has none"
            raise UserError(f"{method.name} takes no checkpoint", why, "give --method spf, or another that trains")
        if not asked.is_dir():
            kind = "it is a file" if asked.is_file() else "there is no such folder"
            fix = "give the folder of a training, of a pipeline or of a UNet in diffusers' layout"
            raise UserError(f"{asked} is no checkpoint", kind, fix)
        folder = method.accept(_root(asked), suite)
        return cls(asked, folder, content_sha256(folder), told(folder))

    @property
    def short(self) -> str:
        """The start of its hash."""
        return self.sha256[:SHORT]

    @property
    def facts(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"folder": str(self.folder), "sha256": self.sha256, "told": self.told}


def _root(folder: Path) -> Path:
    """Return the folder that a UNet's own one is part of: what lies beside it belongs to the checkpoint."""
    around = folder.resolve().parent
    part = folder.name == UNET and any((around / name).is_file() for name in (*TOLD, INDEX))
    return folder.parent if part else folder


def accept(method: "Method", folder: Path, suite: "Suite") -> Path:
    """Return ``folder`` if a method that loads a UNet can take it for its checkpoint.

    Raises:
        UserError: It holds no UNet, or one that is damaged, not finished, of another method or another base model.
    """
    unet = unet_in(folder)
    if unet is None:
        raise UserError(f"{folder} is no checkpoint of {method.name}", "it holds no UNet", _inside(folder))
    known = told(folder)
    if (made_by := known.get("method", method.name)) != method.name:
        fix = f"give one of {method.title}'s, or run with --method {made_by}"
        raise UserError(f"{folder} is no checkpoint of {method.name}", f"{made_by} made it", fix)
    if not known.get("finished", True):
        raise UserError(f"{folder} is not finished", "its training was interrupted", "run the training again to go on")
    facts = known.get("facts")
    trained_on = facts.get("pipeline") if isinstance(facts, dict) else None
    if trained_on not in (None, folder_sha256(suite.pipeline)):
        why = f"the base model of the suite {suite.name!r} is another"
        raise UserError(f"{folder} was trained from another base model", why, "use the suite or --base it came from")
    _refuse_unfit(unet, suite)
    return folder


def _refuse_unfit(unet: Path, suite: "Suite") -> None:
    """Raise UserError where a UNet is damaged, a pickle, or not of the suite's shape."""
    files = sorted(unet.glob(WEIGHTS))
    if not files and sorted(unet.glob("*.bin")):
        why = "its weights are a pickle, which can run code when it is opened"
        raise UserError(
            f"{unet} is not loaded", why, f"spf-bench weights convert {quoted(unet)} {quoted(converted(unet))}"
        )
    problems = [Problem(file.name, "is cut short", "copy it again") for file in files if not whole(file)]
    if problems or not files:
        raise UserError(f"{unet} is not whole", "" if files else "it has a config and no weights", "", problems)
    original = suite.pipeline / UNET / CONFIG
    if original.is_file():  # of a base model in one file, the shape is known once it is loaded
        refuse_foreign(unet, read_json(original))


def unet_in(folder: Path) -> Path | None:
    """Return the UNet's own folder, given it, a pipeline's or a stage's; None where there is none."""
    return next((place for place in (folder / UNET, folder) if (place / CONFIG).is_file() and _unet(place)), None)


def _unet(place: Path) -> bool:
    try:
        return bool(read_json(place / CONFIG).get("_class_name") == "UNet2DConditionModel")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _inside(folder: Path) -> str:
    names = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and unet_in(path)]
    return f"give {' or '.join(str(folder / name) for name in names)}" if names else "give the folder of a training"


def told(folder: Path) -> dict[str, Any]:
    """Return what the files of a checkpoint tell of its training; of several stages, what the last one tells."""
    found: dict[str, Any] = {}
    for name in TOLD:
        if whole(folder / name) and isinstance(known := read_json(folder / name), dict):
            found |= known
    return found


def content_sha256(folder: Path) -> str:
    """Return one SHA-256 over the files of a checkpoint that decide its pixels, wherever it lies.

    They are the UNet's config and weights and the weights beside it; without a UNet, all files but those that tell of
    the training, which took another time each time.
    """
    unet = unet_in(folder)
    if unet is None:
        files = [(path, path.relative_to(folder).as_posix()) for path in _all(folder) if path.name not in TOLD]
    else:
        files = [(path, path.name if path.parent == unet else f"../{path.name}") for path in _deciding(unet, folder)]
    return digest([(name, file_sha256(path)) for path, name in files], length=64)


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _deciding(unet: Path, folder: Path) -> Iterator[Path]:
    yield unet / CONFIG
    yield from sorted(unet.glob(WEIGHTS))
    if folder != unet:
        yield from sorted(folder.glob(WEIGHTS))
