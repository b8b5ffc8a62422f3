"""Files that exist only when whole, and digests of everything that decides what a run produces."""

import ast
import errno
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.files.storage import explain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


PART = ".part"  # of a file's temporary name, so that what a kill leaves behind can be told from everything else
LARGE = 1 << 26  # bytes: what takes longer to read than anybody wants to wait for twice
HERE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def write_atomic(path: Path, write: Callable[[Path], object], durable: bool = True) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place in one step.

    Args:
        path: Where the file shall be.
        write: Fills the file it is given.
        durable: Wait until the disk has it. Without, a power cut may leave a file of no or half its bytes: for what is
            looked at before it is used again, as images are, and is too many to wait for.

    Raises:
        UserError: The disk is full, cannot be written, or something stands in the way.
    """
    try:
        _write_atomic(path, write, durable)
    except Exception as error:
        if (told := explain(error, path)) is not None:
            raise told from error
        raise


def _write_atomic(path: Path, write: Callable[[Path], object], durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem}-{HERE}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=f"{PART}{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)  # mkstemp makes files only their owner can read
        if durable:  # its bytes before its name: else a power cut could leave the name alone
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names."""
    if os.name == "nt":  # there, neither folders nor what was opened to be read can be synced
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks cannot sync folders
            raise
    finally:
        os.close(handle)


def clear_parts(folder: Path) -> None:
    """Remove the temporary files that killed processes of this machine left in ``folder``; those of others stay."""
    for part in folder.glob(f".*-{HERE}-*{PART}*"):
        owner = part.name.split(f"-{HERE}-")[-1].split("-")[0]
        if owner.isdecimal() and not alive(int(owner)):
            part.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Return whether this machine has a process of that number."""
    if os.name == "nt":
        return True  # there, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is somebody else's
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    write_atomic(path, lambda part: part.write_text(text, encoding="utf-8"))


def copy_file(source: Path, to: Path) -> None:
    """Copy a file in one step; one is not copied onto itself."""
    if source.resolve() != to.resolve():
        write_atomic(to, lambda part: shutil.copyfile(source, part), durable=False)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step; one that is lost with the machine's power can be made again."""
    write_atomic(path, lambda part: part.write_bytes(data), durable=False)


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON in one step; dataclasses become objects."""
    plain = asdict(data) if is_dataclass(data) and not isinstance(data, type) else data
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, finite: bool = False) -> Any:
    """Read a JSON file; where all numbers must be ``finite``, raises ValueError at NaN and infinities."""
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number if finite else None)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def write_png(path: Path, image: "np.ndarray") -> None:
    """Write an RGB image [H, W, 3] uint8 as PNG in one step."""
    from PIL import Image

    write_atomic(path, lambda part: Image.fromarray(image).save(part, format="PNG"), durable=False)


def write_parquet(path: Path, frame: "pd.DataFrame") -> None:
    """Write a frame as Parquet in one step, its index included."""
    write_atomic(path, lambda part: frame.to_parquet(part))


def digest(data: Any, length: int = 12) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``data`` as canonical JSON."""
    plain = asdict(data) if is_dataclass(data) and not isinstance(data, type) else data
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits; within a process, a file that did not change is read once."""
    facts = path.stat()
    return _sha256(path.resolve(), facts.st_size, facts.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """Return one SHA-256 over the names and contents of all files below ``folder``, or of a single file."""
    if folder.is_file():
        return file_sha256(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return digest([(path.relative_to(folder).as_posix(), file_sha256(path)) for path in files], length=64)


@cache
def code_sha256(*places: str | Path) -> str:
    """Return one SHA-256 over the code of modules, packages and files, blind to comments and docstrings.

    A change of behaviour makes new run folders, a change of wording keeps the old ones. Nothing is imported.

    Raises:
        ModuleNotFoundError: A module is not installed.
    """
    sources = [path for place in places for path in _sources(place)]
    return digest([(path.name, _bare(path)) for path in sources], length=64)


def _sources(place: str | Path) -> Iterable[Path]:
    if isinstance(place, Path):
        return [place]
    spec = importlib.util.find_spec(place)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {place!r}", name=place)
    if spec.submodule_search_locations:
        return sorted(path for place in spec.submodule_search_locations for path in Path(place).rglob("*.py"))
    return [Path(spec.origin)] if spec.origin else []


def _bare(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_string(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_string(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
