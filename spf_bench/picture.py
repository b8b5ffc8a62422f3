"""Image files: as a square of pixels, read when it is asked for, and those of runs as they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spf_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A file, and the size that its image is wanted in."""

    path: Path
    """Where it lies."""
    size: int
    """Side of the square in pixels."""

    def read(self) -> "np.ndarray":
        """Return RGB [size, size, 3] uint8: upright, the shortest edge resized, cut square about the centre.

        Raises:
            UserError: The file is no image, broken, or cannot be read.
        """
        from PIL import Image, ImageOps

        try:
            with Image.open(self.path) as file:
                return _square(ImageOps.exif_transpose(file).convert("RGB"), self.size)
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"cannot read {self.path}", str(error), "mend the image, or leave it out") from error


def rgb(path: Path) -> "Image.Image":
    """Return an image of a run, all its pixels read, in RGB.

    Raises:
        UserError: The file is gone, no image, or broken.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # a broken PNG is a SyntaxError to Pillow
        raise UserError(f"cannot read {path}", str(error), "run the command of its record again") from error


def _square(image: "Image.Image", size: int) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    # Cut by whole pixels, as masks of the same image are, and as the trainer reads the file: all of them coincide.
    scale = size / min(image.size)
    width, height = (max(size, round(edge * scale)) for edge in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
