"""Options of the paper suite: each is also a variable, so that every command and every worker process sees it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from spf_bench.errors import UserError
from spf_bench.files.pickles import ALLOW

PANEL = "The paper suite"
PAPER = "paper"
OTHERS_OWN = {
    "base": ("--base", "has its own base model"),
    "trainset": ("--trainset", "trains on its own portraits"),
    "also": ("--also", "has no metrics on request"),
}
"""Options that change nothing outside the paper suite, by parameter, and what any other suite has in their place."""


def refuse_elsewhere(suite: str, context: typer.Context) -> None:
    """Refuse options of the paper suite that were typed for another, where they would change nothing.

    Variables of the same meaning are left alone: they may be set for all of a user's commands.

    Raises:
        UserError: Naming all of them.
    """
    sources = {name: context.get_parameter_source(name) for name in OTHERS_OWN}
    typed = [OTHERS_OWN[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    if suite == PAPER or not typed:
        return
    options, reasons = zip(*typed, strict=True)
    verb = "is" if len(typed) == 1 else "are"
    why = f"the suite is {suite}, which {' and '.join(reasons)}"
    raise UserError(f"{', '.join(options)} {verb} of the suite paper", why, "add --suite paper")


def _kept_in(variable: str) -> Callable[[Any], Any]:
    """Return a callback that makes an option's value the variable's, which is where the suite reads it."""

    def keep(value: Any) -> Any:
        if value is not None:
            os.environ[variable] = str(value)
        return value

    return keep


def _allow(value: bool) -> bool:
    """Say in the environment that pickles are allowed: worker processes see it too."""
    if value:
        os.environ[ALLOW] = "1"
    return value


def _option(name: str, variable: str, help: str, metavar: str) -> Any:
    return typer.Option(
        name, help=help, metavar=metavar, envvar=variable, callback=_kept_in(variable), rich_help_panel=PANEL
    )


Base = Annotated[
    str | None,
    _option("--base", "SPF_BENCH_BASE", "Base model: a folder, a single file, or owner/name on the Hub.", "MODEL"),
]
Trainset = Annotated[
    Path | None,
    _option("--trainset", "SPF_BENCH_TRAINSET", "Portraits to train on: a folder with metadata.jsonl.", "DIR"),
]
WeightsDir = Annotated[
    Path | None,
    _option("--weights-dir", "SPF_BENCH_WEIGHTS", "Folder of all weights, instead of HF_HOME and TORCH_HOME.", "DIR"),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Read a base model's pickled weights too, as tensors alone; `weights convert` makes it needless.",
        envvar=ALLOW,
        callback=_allow,
    ),
]
Also = Annotated[
    str | None,
    _option("--also", "SPF_BENCH_METRICS", "Metrics on request, e.g. lpips_vgg,fd_dinov2,hps_v20.", "METRIC,..."),
]
Precision = Annotated[
    str | None,
    _option("--precision", "SPF_BENCH_PRECISION", "What judges compute in: float32 or bfloat16.", "TYPE"),
]
