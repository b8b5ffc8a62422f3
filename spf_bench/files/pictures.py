"""What an image's file tells of it before a pixel is decoded: whether its format lost something, and its depth."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

DEPTH = 24  # byte of a PNG that holds the bits per channel, after signature, chunk head, width and height
LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")


def lossy(picture: "Image", path: Path) -> str | None:
    """Return the name of the lossy format that an opened image was saved in; None where it keeps every pixel.

    Raises:
        OSError: The file cannot be read.
    """
    if picture.format in ("JPEG", "MPO"):  # MPO: several in one file, as phones and cameras save JPEG
        return "JPEG"
    if picture.format == "TIFF" and picture.info.get("compression") in LOSSY_TIFF:
        return "TIFF with lossy compression"
    return "lossy WebP" if picture.format == "WEBP" and _lossy_webp(path) else None


def png_depth(path: Path) -> int:
    """Return the bits per channel of a PNG; raises OSError where the file cannot be read, ValueError where it ends."""
    with path.open("rb") as file:
        head = file.read(DEPTH + 1)
    if len(head) <= DEPTH:
        raise ValueError("its header is cut short")
    return head[DEPTH]


def _lossy_webp(path: Path) -> bool:
    """Walk the chunks of a RIFF file: lossless pixels are in VP8L, lossy ones in VP8, behind profile and alpha."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return bool(name == b"VP8 ")
            # Frames of an animation hold such chunks behind 16 bytes of their own.
            file.seek(16 if name == b"ANMF" else size + size % 2, 1)
    return False
