"""Images and captions as somebody else would hand them over."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.conftest import make_triples


class Theirs:
    """A folder with six originals, six customised portraits and their captions."""

    def __init__(self, root: Path, size: int = 64) -> None:
        self.originals, self.images, self.captions = root / "originals", root / "images", root / "captions.csv"
        self.triples = make_triples()
        rng = np.random.default_rng(0)
        for folder in (self.originals, self.images):
            folder.mkdir(parents=True)
            for triple in self.triples:
                pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{triple.id}.png")
        with self.captions.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "base", "target", "category"])
            writer.writerows([t.id, t.base, t.target, t.category] for t in self.triples)

    @property
    def words(self) -> tuple[object, ...]:
        """The command's options."""
        folders = ("--originals", self.originals, "--customised", self.images)
        return (*folders, "--captions", self.captions, "--suite", "mini", "--device", "cpu")


@pytest.fixture
def theirs(tmp_path: Path) -> Theirs:
    """Somebody's images."""
    return Theirs(tmp_path / "theirs")
