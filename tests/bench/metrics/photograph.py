"""One real photograph, from a package that ships some."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

SHIPPED = {
    "skimage": "data/astronaut.png",
    "insightface": "data/images/Tom_Hanks_54745.png",
}


def photograph(size: int | None = None) -> np.ndarray:
    """A portrait [H, W, 3] uint8, centred and square where ``size`` is given; skips the test where there is none."""
    path = _path()
    if path is None:
        pytest.skip(f"no photograph: none of {', '.join(SHIPPED)} is installed")
    picture = PILImage.open(path).convert("RGB")
    if size is not None:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side)).resize((size, size))
    return np.asarray(picture)


@cache
def _path() -> Path | None:
    for package, name in SHIPPED.items():
        spec = find_spec(package)
        path = Path(spec.origin).parent / name if spec is not None and spec.origin else None
        if path is not None and path.is_file():
            return path
    return None
