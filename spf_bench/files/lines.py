"""Lines of a file from outside: read one at a time, never trusted to be text, short, or whole."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from spf_bench.files.outside import short

LONGEST = 1 << 16  # bytes of a line: captions are a hundredth of it
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK": "a zip or a spreadsheet", b"\x1f\x8b": "gzip"}


class Line(NamedTuple):
    """One line, or why it is none."""

    number: int
    """Counted from 1."""
    text: str
    """Without its end; empty where there is a fault."""
    fault: str | None = None
    """What is wrong with it."""


def foreign(path: Path) -> str | None:
    """Say what a file is where its first bytes tell that it is no UTF-8 text."""
    with path.open("rb") as file:
        head = file.read(2)
    return next((kind for mark, kind in MARKS.items() if head.startswith(mark)), None)


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file; memory stays small however long a line is."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(LONGEST + 1):
            number += 1
            if len(raw) > LONGEST and not raw.endswith(b"\n"):
                yield Line(number, "", f"has {_rest(file, len(raw)):,} bytes, {LONGEST:,} is all")
                continue
            try:
                yield Line(number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"))
            except UnicodeDecodeError as error:
                yield Line(number, "", f"is no UTF-8: byte {raw[error.start]:#04x} at place {error.start + 1}")


def _rest(file: Any, length: int) -> int:
    """Skip to the end of a line and return how long it is without its end."""
    while part := file.readline(LONGEST):
        length += len(part)
        if part.endswith(b"\n"):
            return length - 1
    return length


def objects(source: Iterable[Line]) -> Iterator[tuple[int, Any, str | None]]:
    """Yield number, value and fault of every JSON line that is not blank; the value is None where there is a fault."""
    for line in source:
        if line.fault:
            yield line.number, None, line.fault
        elif line.text.strip():
            value, fault = _parsed(line.text)
            yield line.number, value, fault


def _parsed(text: str) -> tuple[Any, str | None]:
    try:
        return json.loads(text, object_pairs_hook=_once), None
    except json.JSONDecodeError as error:
        return None, f"is no JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        return None, f"is no JSON that can be read: {(str(error).splitlines() or ['too deep'])[0]}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{short(next(name for name in names if names.count(name) > 1))} stands there twice")
    return found
