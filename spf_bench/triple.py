"""The unit of the benchmark: a base text, a target text, and the seed of the noise they share."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Category(StrEnum):
    """The paper's five kinds of target attribute (Table 3 of arXiv:2504.00396)."""

    facial_attributes = "facial_attributes"
    clothing = "clothing"
    image_style = "image_style"
    appearance = "appearance"
    accessories = "accessories"

    @property
    def label(self) -> str:
        """The category in words, e.g. ``"facial attributes"``."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Triple:
    """One test case; ``id`` is the join key everywhere, nothing is ever paired by position."""

    id: str
    """Unique within its test set; also the stem of every file made for it."""
    base: str
    """The base text: comma-separated phrases describing the original portrait."""
    target: str
    """The target text: the one attribute to add."""
    category: Category
    """Which of the five kinds of attribute the target is."""
    seed: int
    """Seed of the initial noise shared by the original and every customised portrait."""
    phrases: tuple[str, ...]
    """The base text split into its phrases."""
    original: str | None = None
    """Path of a shipped original portrait, relative to the test set; None where the base model makes it."""
    sha256: str | None = None
    """SHA-256 of the shipped original's file; None where there is none."""

    @property
    def prompt(self) -> str:
        """The complete text: base and target joined by a comma; the base text alone where no target is asked for."""
        return f"{self.base}, {self.target}" if self.target else self.base

    @property
    def targets(self) -> tuple[str, ...]:
        """The attributes asked for, each by itself: one, unless a track asks for none or several."""
        return (self.target,) if self.target else ()

    @property
    def origin(self) -> str:
        """The id of the triple whose original portrait this one is compared with: its own, outside sequences."""
        return self.id

    @property
    def part(self) -> str:
        """Which part of a run's scores it belongs to: its category, outside sequences."""
        return self.category.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, leaving out the fields that are None."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Triple":
        """Rebuild a triple from ``to_dict``; raises TypeError or ValueError on fields that do not fit."""
        return cls(**{**data, "category": Category(data["category"]), "phrases": tuple(data["phrases"])})


@dataclass(frozen=True, slots=True)
class Uncategorised(Triple):
    """A triple from outside whose kind of target nobody says; its ``category`` means nothing."""

    @property
    def part(self) -> str:
        """No part: it counts in the whole alone."""
        return ""


def image(folder: Path, triple: Triple) -> Path:
    """Return where the image of ``triple`` lies in ``folder``."""
    return folder / f"{triple.id}.png"


def original(folder: Path, triple: Triple) -> Path:
    """Return where the original portrait that ``triple`` is compared with lies in ``folder``."""
    return folder / f"{triple.origin}.png"
