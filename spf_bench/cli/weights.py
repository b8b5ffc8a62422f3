"""The commands about published checkpoints: list, fetch, verify, convert."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out, show
from spf_bench.cli.options import new_folder
from spf_bench.cli.paper import WeightsDir

if TYPE_CHECKING:
    from spf_bench.weights import Checkpoint, Status

weights = typer.Typer(no_args_is_help=True, help="Fetch and verify the published weights of the paper suite.")

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Checkpoints or metrics; by default what the paper suite needs.", metavar="[METRIC]..."),
]


@weights.command("list")
def list_(names: Names = None, weights_dir: WeightsDir = None) -> None:
    """List checkpoints: source, size, digest, licence, who uses them, and whether they are here."""
    rows = _rows(names or ["all"])
    show(
        ("checkpoint", "used by", "here", "size", "sha256 or md5", "licence", "source"),
        [
            (one.name, ", ".join(one.used_by), _here(one), _size(one), _stated(one), one.licence, str(one.source))
            for one in rows
        ],
    )
    _terms(rows)


@weights.command()
def fetch(
    names: Names = None,
    weights_dir: WeightsDir = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch anew what is here, too.")] = False,
) -> None:
    """Fetch checkpoints and verify them; stop it at any time, the same command goes on.

    - `spf-bench weights fetch` gets all that `run --suite paper` needs
    - `spf-bench weights fetch lpips id`
    - `spf-bench weights fetch all --weights-dir /data/weights`

    Honours HF_HOME, HF_HUB_OFFLINE and TORCH_HOME.
    """
    from spf_bench.progress import Bars
    from spf_bench.weights.fetch import fetch as fetch_

    rows = _rows(names or [])
    with Bars(err) as bars:
        found = fetch_(rows, bars, force)
    _report(rows, found)
    _terms(rows)


@weights.command()
def check(names: Names = None, weights_dir: WeightsDir = None) -> None:
    """Verify checkpoints without fetching anything; exit 1 with the command that mends it if one is not usable."""
    from spf_bench.weights import status

    rows = _rows(names or [])
    found = [status(one) for one in rows]
    _report(rows, found)
    _terms(rows)
    if not all(one.usable for one in found):
        raise typer.Exit(1)


@weights.command()
def convert(
    pickle: Annotated[Path, typer.Argument(help="A pickled network or checkpoint, or a model's folder with some.")],
    to: Annotated[
        Path, typer.Argument(help="The .safetensors file, or the folder, to write; must be free.", callback=new_folder)
    ],
) -> None:
    """Turn pickled weights into safetensors, running none of the code they name.

    Classes are replaced by empty ones, and a pickle that asks for more is refused. A folder is copied with its
    pickles converted.

    - `spf-bench weights convert model.ckpt model.safetensors`
    - `spf-bench weights convert MPS_overall_checkpoint.pth MPS_overall.safetensors` (the authors' own; `weights fetch
      mps` gets a plain state dict of the same network)
    """
    from spf_bench.weights.convert import convert as converted

    for path, tensors, sha256 in converted(pickle, to):
        out.print(f"written  {escape(str(path))}, {tensors} tensors, sha256 {sha256}", soft_wrap=True)


weights.command("convert-mps", hidden=True)(convert)


def _rows(names: Sequence[str]) -> "list[Checkpoint]":
    """Return the checkpoints asked for, with the base model that ``SPF_BENCH_BASE`` names in place of the paper's."""
    from spf_bench.weights import chosen
    from spf_bench.weights.base import base_checkpoint

    named = os.environ.get("SPF_BENCH_BASE")
    if named is None or Path(named).expanduser().exists():
        return [one for one in chosen(names) if named is None or one.name != "base"]
    return [base_checkpoint(named) if one.name == "base" else one for one in chosen(names)]


def _here(one: "Checkpoint") -> str:
    """Say whether a checkpoint is here without reading it through."""
    from spf_bench.weights.base import find_pipeline
    from spf_bench.weights.places import find

    here = find(one) if one.files else find_pipeline(one)
    return "yes" if here else "optional" if one.optional else "no"


def _size(one: "Checkpoint") -> str:
    return f"{one.size / 1e6:,.0f} MB" if one.size else "unstated"


def _stated(one: "Checkpoint") -> str:
    from spf_bench.weights.checkpoint import Url

    archive = one.source.archive if isinstance(one.source, Url) else None
    if not one.files:
        return "none: its folder's digest is recorded"
    file = archive or one.files[0]
    return (file.sha256 or "")[:12] or (f"md5 {file.md5[:12]}" if file.md5 else "none: kept as first seen")


def _report(rows: Sequence["Checkpoint"], found: Sequence["Status"]) -> None:
    colours = {"verified": "green", "kept": "green", "missing": "bold red", "altered": "bold red"}
    lines = []
    for row, one in zip(rows, found, strict=True):
        fix = "" if one.usable else f"spf-bench weights fetch {row.name}" + (" --force" if one.files else "")
        lines.append((f"[{colours[one.state]}]{one.state}[/]", row.name, escape(one.detail), fix))
    show(("", "checkpoint", "found", "fix"), lines)


def _terms(rows: Sequence["Checkpoint"]) -> None:
    for one in rows:
        if one.terms:
            err.print(f"[yellow]licence[/]  {one.name}: {one.terms}")
