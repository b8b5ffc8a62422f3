"""The header of a safetensors file: what it says of its tensors, believed only where the file's bytes bear it out."""

import json
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

PREFIX = 8  # bytes that say how long the header is
LONGEST = 100_000_000  # bytes of a header, as the format has it
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
METADATA = "__metadata__"


def safetensors_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: type, shape and place of every tensor, and the metadata.

    Source: the format's description, https://huggingface.co/docs/safetensors.

    Raises:
        ValueError: It is none: cut short or lengthened, or its tensors overlap, leave gaps or have other sizes.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(PREFIX), "little")
        if length > min(LONGEST, size - PREFIX):
            raise ValueError("its header is longer than the file")
        try:
            header = json.loads(file.read(length))
        except RecursionError as error:
            raise ValueError("its header is nested too deep") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    places = sorted(_place(name, told) for name, told in header.items() if name != METADATA)
    ends = [(0, 0), *places, (size - PREFIX - length,) * 2]
    if any(before[1] != after[0] for before, after in pairwise(ends)):
        raise ValueError("its tensors do not fill the file")
    return header


def _place(name: str, told: Any) -> tuple[int, int]:
    """Return where a tensor begins and ends; raises ValueError where that is not what type and shape ask for."""
    try:
        (start, end), shape, bits = told["data_offsets"], told["shape"], BITS[told["dtype"]]
        sound = 0 <= start <= end and all(type(n) is int and n >= 0 for n in shape)
        fits = sound and prod(shape) * bits == 8 * (end - start)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its header says nothing sound of {ascii(name)[:60]}") from error
    if not fits:
        raise ValueError(f"its header gives {ascii(name)[:60]} another size than its type and shape")
    return start, end
