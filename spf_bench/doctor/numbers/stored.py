"""The stored numbers: a JSON file beside the pairs, and the versions that it was made with."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spf_bench.doctor.numbers.measure import Sight, Values
from spf_bench.files.store import read_json, write_json

FILE = Path(__file__).parent / "values.json"
COMMAND = "python -m spf_bench.doctor.numbers.remake"
PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "pillow", "transformers", "tokenizers", "torchmetrics", "open_clip_torch",
    "segment-anything", "insightface", "onnxruntime", "scikit-image",
)  # fmt: skip
"""What can move a number."""


@dataclass(frozen=True)
class Known:
    """The numbers of one metric."""

    values: Values
    sources: dict[str, str]
    """By column: whose code gave them."""
    networks: list[str]
    """Names of its networks in ``Stored.networks``."""


@dataclass(frozen=True)
class Stored:
    """Everything stored."""

    metrics: dict[str, Known] = field(default_factory=dict)
    """By suite and key, as ``world/fid``."""
    networks: dict[str, Sight] = field(default_factory=dict)
    """By suite and name, as ``world/judge``."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions that they were made with."""
    command: str = COMMAND
    """What makes the file."""

    @classmethod
    def load(cls, path: Path = FILE) -> "Stored":
        """Read the file."""
        data: dict[str, Any] = read_json(path, finite=True)
        metrics = {name: Known(**known) for name, known in data["metrics"].items()}
        networks = {name: Sight(**seen) for name, seen in data["networks"].items()}
        return cls(metrics, networks, data["packages"], data["command"])

    def save(self, path: Path = FILE) -> None:
        """Write the file in one step."""
        write_json(path, asdict(self))


def versions() -> dict[str, str]:
    """Return the installed versions of ``PACKAGES``, without what builds add; absent ones are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
    return found
