"""Portraits as participants get them: pixels alone, under names that tell nothing."""

import base64
import hashlib
import io
import random
from pathlib import Path

from PIL import Image

from spf_bench.files.store import write_atomic
from spf_bench.picture import rgb

CELLS = 6
"""Cells on each edge of the mosaic that an attention check shows as the wrong answer."""
LOSSLESS = 128
"""Pixels: up to this edge portraits travel as PNG, above it as WebP."""
QUALITY = 92


class Pictures:
    """A folder of pictures named by their pixels, so that equal ones are one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path) -> str:
        """Take a portrait in without anything that stands beside its pixels; return its new name."""
        return self._write(rgb(path))

    def spoil(self, path: Path, seed: str) -> str:
        """Take in a coarse, noisy mosaic of a portrait; return its name."""
        portrait = rgb(path)
        small = portrait.resize((CELLS, CELLS), Image.Resampling.BOX)
        noise = random.Random(seed)
        raw = bytes(max(0, min(255, value + noise.randint(-60, 60))) for value in small.tobytes())
        return self._write(Image.frombytes("RGB", small.size, raw).resize(portrait.size, Image.Resampling.NEAREST))

    def _write(self, picture: Image.Image) -> str:
        seen = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
        name = f"{seen[:20]}.png"
        if not (self.folder / name).is_file():
            write_atomic(self.folder / name, lambda part: picture.save(part, format="PNG"))
        return name


def data_url(path: Path) -> str:
    """Return a picture as a page can hold it: PNG where it is small, else WebP of high quality."""
    picture, part = rgb(path), io.BytesIO()
    kind = "png" if max(picture.size) <= LOSSLESS else "webp"
    if kind == "png":
        picture.save(part, "PNG", optimize=True)
    else:
        picture.save(part, "WEBP", quality=QUALITY, method=4)
    return f"data:image/{kind};base64,{base64.b64encode(part.getvalue()).decode()}"
