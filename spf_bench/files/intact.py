"""Which files are whole: what a full disk, a power cut or somebody's hand has damaged is found, and made again."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from spf_bench.files.headers import safetensors_header

MAGIC = b"PAR1"  # how every Parquet file begins and ends
PARQUET_FOOTER = 4  # bytes before the end that say how long its footer is
PNG_END = b"IEND\xaeB`\x82"  # the last part of every PNG, with its checksum


def whole(path: Path) -> bool:
    """Return whether a PNG, Parquet, safetensors or JSON file is there with all its bytes; others need only be there.

    Of a PNG the checksums of its parts are verified, of safetensors the header, of Parquet the length alone.
    """
    if not path.is_file():
        return False
    look = LOOKS.get(path.suffix)
    try:
        return look is None or look(path)
    except Exception:  # every reader has errors of its own for what is not whole
        return False


def ended(path: Path) -> bool:
    """Return whether a PNG is there and ends as one does: what was cut short is found at the cost of its last bytes."""
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), 2)
            return file.read() == PNG_END
    except OSError:  # there is no file, or it is shorter than its end
        return False


def drop_damaged(paths: Iterable[Path]) -> list[Path]:
    """Remove those of some files that are there and not whole, and return them."""
    damaged = [path for path in paths if path.is_file() and not whole(path)]
    for path in damaged:
        path.unlink()
    return damaged


def _png(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        picture.verify()
    return ended(path)


def _parquet(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
        file.seek(-len(MAGIC) - PARQUET_FOOTER, 2)
        footer = int.from_bytes(file.read(PARQUET_FOOTER), "little")
        end = file.read()
    return start == end == MAGIC and footer + PARQUET_FOOTER + 2 * len(MAGIC) <= path.stat().st_size


def _safetensors(path: Path) -> bool:
    safetensors_header(path)
    return True


def _json(path: Path) -> bool:
    json.loads(path.read_text(encoding="utf-8"))
    return True


LOOKS: dict[str, Callable[[Path], bool]] = {
    ".png": _png,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
    ".json": _json,
}
