"""The base model: a folder, a single file, or a repository on the Hub of which only what is needed is fetched."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from spf_bench.errors import UserError
from spf_bench.files.outside import existing, short
from spf_bench.weights import places
from spf_bench.weights.checkpoint import Checkpoint, Hub
from spf_bench.weights.hub import refuse_altered
from spf_bench.weights.table import CHECKPOINTS

INDEX = "model_index.json"
COMPONENTS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae", "scheduler")
NETWORKS = ("text_encoder", "text_encoder_2", "unet", "vae")
ON_HUB = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
VARIANTS = (".fp16.", ".non_ema.", ".ema.", ".onnx")


def base_checkpoint(asked: str | None = None) -> Checkpoint:
    """Return the row of a base model on the Hub, ``owner/name`` or ``owner/name@revision``; None is the paper's.

    Raises:
        UserError: That is no name of a repository.
    """
    row = CHECKPOINTS["base"]
    if asked is None:
        return row
    match = ON_HUB.fullmatch(asked)
    if match is None:
        fix = "give a folder, a .safetensors file, or owner/name of a repository on the Hub"
        raise UserError(
            f"there is no base model {short(asked)}", "no such file or folder, and no name of a repository", fix
        )
    source = Hub(match["repo"], match["revision"] or "main")
    return replace(row, title=asked, source=source, licence="see its page", terms="")


def base_path(asked: str | None = None) -> Path:
    """Return where a base model lies: a folder in diffusers' layout, or a single file.

    Raises:
        UserError: It is nowhere here; the message has the command that fetches it.
    """
    if asked is not None and (here := existing(asked)) is not None:
        return here
    row = base_checkpoint(asked)
    folder, name = find_pipeline(row), "" if asked is None else f"SPF_BENCH_BASE={asked} "
    if folder is None:
        raise UserError(f"the base model {row.source} is not here", "", f"{name}spf-bench weights fetch base")
    refuse_altered(folder, f"{name}spf-bench weights fetch base --force")
    return folder


def find_pipeline(row: Checkpoint) -> Path | None:
    """Return the folder of a whole pipeline, the user's or in the Hugging Face cache; None where a part is lacking."""
    return next((folder for folder in _folders(row) if folder.is_dir() and not _lacking(folder)), None)


def wanted(names: Iterable[str]) -> list[str]:
    """Choose a pipeline's files among a repository's: of each network one kind of weights, safetensors where there is.

    Args:
        names: All files of the repository, below its root.
    """
    paths = [PurePosixPath(name) for name in names if not any(variant in name for variant in VARIANTS)]
    found = [str(path) for path in paths if str(path) == INDEX]
    for component in COMPONENTS:
        inside = [path for path in paths if path.parts[0] == component and len(path.parts) == 2]
        kinds = {path.suffix for path in inside}
        skip = {".bin", ".msgpack", ".h5"} - ({".bin"} if ".safetensors" not in kinds else set())
        found += [str(path) for path in inside if path.suffix not in skip]
    return found


def own_pipeline(row: Checkpoint) -> Path | None:
    """Return the folder below the user's own that holds, or would hold, a pipeline."""
    own = places.own_folder()
    return own / str(row.source).split("@")[0].replace("/", "--") if own else None


def _folders(row: Checkpoint) -> Iterator[Path]:
    own = own_pipeline(row)
    if own:
        yield own
    assert isinstance(row.source, Hub)
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(row.source.repo, INDEX, revision=row.source.revision)
    if isinstance(index, str):
        yield Path(index).parent


def _lacking(folder: Path) -> list[str]:
    """Return which of a pipeline's networks have no weights in a folder."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [INDEX]
    listed = [part for part in NETWORKS if part in index]
    return [part for part in listed if not any((folder / part).glob("*.safetensors")) and not _bins(folder / part)]


def _bins(folder: Path) -> list[Path]:
    return list(folder.glob("*.bin"))
