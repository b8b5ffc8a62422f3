"""Options that several commands have, so that they are called and explained alike everywhere."""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from spf_bench.errors import UserError

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
DEFAULT_RUNS = Path("runs")
LARGEST_SEED = 2**63 - 1
"""What JSON of ours holds: a record with a larger whole number could not be read again."""
LARGEST_BATCH = 2**20


class PerSeed(StrEnum):
    """How runs that differ in their seed alone are shown."""

    each = "each"
    mean = "mean"


Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs and their cache.", metavar="DIR")]
ManyRuns = Annotated[
    list[Path] | None,
    typer.Option("--runs", help="Folder of runs; may be given again.", metavar="DIR", show_default=str(DEFAULT_RUNS)),
]
Records = Annotated[
    list[Path] | None,
    typer.Option(
        "--records",
        help="Finished runs from elsewhere that count as done, e.g. reports/ablations; may be given again.",
        metavar="DIR",
    ),
]
Suite = Annotated[str, typer.Option(help="Base model, training images and judges.")]
TestSet = Annotated[str | None, typer.Option(help="A name from `list testsets`; by default the suite's.")]
Limit = Annotated[int | None, typer.Option(help="Use only the first N triples.", metavar="N")]
Preset = Annotated[str, typer.Option(help="How much to train: quick or default.")]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of training data and training; test noise is frozen.")
]
Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Train with this many seeds, 0 first.", metavar="N")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting of the method, e.g. spf.norm=l2; repeatable.", metavar="NAME=VALUE"),
]
SeedRows = Annotated[PerSeed, typer.Option(help="A row for each seed, or the mean over seeds.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")]
Threads = Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads; by default all cores.")]


def finite(value: float | None) -> float | None:
    """Refuse NaN and infinity, which lie within no bounds and outside none."""
    if value is not None and not isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def files(value: Any) -> Any:
    """Refuse an option's file, or files, that cannot be written; a callback, so that it is known at once."""
    from spf_bench.files.places import refuse_unwritable

    refuse_unwritable(files=_paths(value))
    return value


def folder(value: Path | None) -> Path | None:
    """Refuse an option's folder that cannot be written into."""
    from spf_bench.files.places import refuse_unwritable

    refuse_unwritable(folders=_paths(value))
    return value


def new_folder(value: Path) -> Path:
    """Refuse an option's folder that cannot be made, with all it holds, in one step."""
    from spf_bench.files.places import refuse_unwritable

    refuse_unwritable(new_folders=_paths(value))
    return value


def picture(value: Path) -> Path:
    """Refuse an option's picture that cannot be written, or whose name does not say of what kind it is."""
    if value.suffix.lower() not in PICTURES:
        raise UserError(f"cannot draw {value}", "its name's ending decides", f"end it in {', '.join(PICTURES)}")
    return Path(files(value))


def _paths(value: Path | Sequence[Path] | None) -> Sequence[Path]:
    return [value] if isinstance(value, Path) else value or ()
