"""What original portraits were made of: the facts that decide their pixels, and how they were asked for."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spf_bench.environment import Environment
from spf_bench.errors import Problem, UserError
from spf_bench.files.store import code_sha256, folder_sha256, read_json, write_json
from spf_bench.memory import noted
from spf_bench.suite import Sampling
from spf_bench.testset import TestSet

BUILD = "build.json"
HALVED = ".halved"
"""Where processes note that batches did not fit the device, until ``build.json`` has it."""
SCHEMA = 1
SAMPLING_CODE = (
    "spf_bench.models.backbone",
    "spf_bench.models.base_model",
    "spf_bench.run.generate",
    "spf_bench.originals.make",
)
DECIDING = ("pipeline", "testset", "sampling")
"""The facts that make it another image; the others move single pixels by a rounding step."""


def origin(pipeline: Path, testset: TestSet, sampling: Sampling, batch: int, device: str) -> dict[str, Any]:
    """Return everything that affects original portraits, as plain JSON."""
    return {
        "pipeline": folder_sha256(pipeline),
        "testset": testset.sha256,
        "sampling": asdict(sampling),
        "batch": batch,
        "device": device.split(":")[0],
        "sampling_code": code_sha256(*SAMPLING_CODE),
    }


@dataclass(frozen=True)
class About:
    """What ``build.json`` says."""

    origin: dict[str, Any]
    """Everything that affects the pixels."""
    captions: str
    """The test set the captions come from, by name or folder."""
    suite: str
    """The suite whose sampling it is."""
    base_model: str | None
    """The base model as it was asked for; None is the suite's."""
    environment: Environment | dict[str, Any] = field(default_factory=dict)
    """Code, packages and machine of the process that began."""
    schema: int = SCHEMA
    """Version of this layout."""
    halved: int | None = None
    """The most images that were sampled at once after the device's memory did not hold a batch; None: it did."""

    @property
    def sampling(self) -> Sampling:
        """How the images were sampled.

        Raises:
            UserError: The file does not say it.
        """
        try:
            return Sampling(**self.origin["sampling"])
        except (KeyError, TypeError, ValueError) as error:
            what = f"a {BUILD} of {self.captions} does not say how its images were sampled"
            raise UserError(what, f"{type(error).__name__}: {error}", "build them again") from error

    def save(self, folder: Path) -> None:
        """Write it into a folder of originals."""
        write_json(folder / BUILD, self)

    @classmethod
    def load(cls, folder: Path) -> "About | None":
        """Read that of a folder of originals; None where none can be read, or a fact is of another type."""
        try:
            found = cls(**read_json(folder / BUILD))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return found if all(isinstance(getattr(found, name), kind) for name, kind in TYPES.items()) else None


TYPES: dict[str, Any] = {
    "origin": dict,
    "captions": str,
    "suite": str,
    "base_model": str | None,
    "environment": dict,
    "schema": int,
    "halved": int | None,
}
"""What each fact is in the file; what an environment holds has changed with versions and decides no pixel."""


def begin(folder: Path, about: About) -> None:
    """Say what the images of ``folder`` are going to be; images whose ``build.json`` is lost are not trusted.

    Raises:
        UserError: They are being made of something else.
    """
    known = About.load(folder)
    if known is None:
        discard(folder)
        about.save(folder)
        return
    problems = list(differences(known.origin, about.origin))
    if problems:
        raise UserError(f"{folder} holds other originals", "", "choose another folder", problems)


def note_halved(folder: Path) -> None:
    """Take what the processes at work in a folder noted of halved batches into its ``build.json``."""
    about, sizes = About.load(folder), list(noted(folder / HALVED).values())
    if about is not None and sizes:
        known = sizes if about.halved is None else [*sizes, about.halved]
        replace(about, halved=min(known)).save(folder)
    shutil.rmtree(folder / HALVED, ignore_errors=True)


def discard(folder: Path) -> None:
    """Forget what is known of the images of a folder, so that all are made again."""
    from spf_bench.originals.manifest import known_in

    for path in known_in(folder):
        path.unlink()


def differences(
    known: Mapping[str, Any], asked: Mapping[str, Any], names: tuple[str, ...] | None = None
) -> Iterator[Problem]:
    """Yield the facts that differ, down to the single setting of the sampling."""
    for name in names or tuple(asked):
        before, now = known.get(name), asked[name]
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, tuple(now))
        elif before != now:
            yield Problem(name.replace("_", " "), f"theirs {_short(before)}, now {_short(now)}", "")


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else repr(value)
