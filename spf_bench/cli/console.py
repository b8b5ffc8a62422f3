"""What all commands share: where they print, tables of facts, and how mistakes and Ctrl-C end them."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from spf_bench.errors import UserError
from spf_bench.files.storage import explain

PIPE = 400  # columns where nobody looks: lines for programs are not folded
out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Commands(TyperGroup):
    """Turns a user's mistakes into messages (exit 2) and Ctrl-C into how to go on (exit 130)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            err.print(f"[bold red]error:[/] {escape(str(error))}")
            raise typer.Exit(2) from error
        except Exception as error:
            told = explain(error)
            if told is None:
                raise
            err.print(f"[bold red]error:[/] {escape(str(told))}")
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            again = shlex.join(["spf-bench", *sys.argv[1:]])
            err.print(f"\n[bold]stopped[/], and nothing that was done is lost\n  resume  {escape(again)}")
            raise typer.Exit(130) from None


def show(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns on standard output; cells may hold rich markup."""
    grid = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*row)
    out.print(grid)
